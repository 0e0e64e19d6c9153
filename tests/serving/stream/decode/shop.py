"""A small shop whose events come as messages."""

import json
from typing import Any

from components.contract.dataset import Dataset
from components.contract.load import parse_dataset

NOW_US = 1_790_000_000_000_000
TIME_MS = 1_780_000_000_000
SHOP = """
name: shop
events:
  path: events.jsonl
  null_values: [none]
  columns: {time: ts, user: who.id, item: item, action: what, request: request, session: visit, position: rank, revenue: paid}
actions: {impression: {}, click: {label: 1}, buy: {label: 2, values: [buy, purchase]}, search: {item: false}}
ignore_actions: [heartbeat]
candidates: {from: impressions}
windows: {eval: 10%, test: 10%}
features:
  - {name: price, kind: number, side: item, source: events, column: shown.price}
  - {name: device, kind: category, side: context}
  - {name: vector, kind: vector, side: item, source: events, size: 2}
"""


def shop(text: str = SHOP, **replaced: str) -> Dataset:
    for old, new in replaced.items():
        text = text.replace(old, new)
    return parse_dataset(text)


def event(**changed: Any) -> dict[str, Any]:
    """An event as the shop logs it; a change to `...` leaves a key out."""
    whole = {
        "ts": TIME_MS,
        "who": {"id": "u1"},
        "item": "i1",
        "what": "click",
        "request": "r1",
        "visit": "v1",
        "rank": 3,
        "paid": 1.5,
        "shown": {"price": 9.5},
        "device": "phone",
        "vector": [1, 2],
    }
    return {name: value for name, value in {**whole, **changed}.items() if value is not ...}


def message(**changed: Any) -> bytes:
    return json.dumps(event(**changed)).encode()
