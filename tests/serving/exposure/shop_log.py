"""A shop whose log the service keeps, and what happens in it."""

from pathlib import Path
from typing import Any

from components.contract.dataset import Dataset
from components.contract.load import parse_dataset
from serving.exposure.event_types import Exposure, Interaction
from serving.exposure.log import ExposureLog, LogSettings
from serving.rules.apply import Effect, Moved

SHOP = """\
name: shop
events:
  path: events.csv
  columns: {time: at, user: user, item: item, action: action, request: request, session: visit}
items: {path: items.csv, id: id}
actions:
  show: {values: [view]}
  click: {label: 1}
  search: {item: false}
candidates: {from: impressions, action: show}
attribution: 1h
windows: {until: 2026-02-01}
features:
  - {name: page, kind: category, side: context}
  - {name: ruled, kind: category, side: context}
  - {name: speed, kind: number, side: context}
  - {name: hour, kind: category, side: context, column: time.hour}
  - {name: title, kind: text, side: item}
  - {name: shown_price, kind: number, side: item, source: events}
  - {name: clicks, kind: state, side: item, measure: total, action: click}
"""
START_US = 1_767_225_600_000_000  # 2026-01-01
MINUTE_US = 60_000_000


def dataset() -> Dataset:
    return parse_dataset(SHOP)


def log(folder: Path, **settings: Any) -> ExposureLog:
    return ExposureLog(dataset(), LogSettings(folder, **settings))


def exposure(n: int, **changed: Any) -> Exposure:
    """Request n of shopper n % 3: items a to d given, b shown before d and a; c is filtered; a is boosted."""
    told: dict[str, Any] = {
        "request": f"r{n}",
        "time_us": START_US + n * MINUTE_US,
        "shopper": f"u{n % 3}",
        "session": f"s{n % 3}",
        "items": ["a", "b", "c", "d"],
        "scores": [0.1, 0.4, 0.3, 0.2],
        "order": [1, 3, 0],
        "shown": 2,
        "label": "stable",
        "version": "7",
        "model_ms": 4.25,
        "arms": {"canary": "control"},
        "effects": [Effect("gone", "filter", (Moved("c", 1, None),)), Effect("own", "boost", (Moved("d", 1, 1), Moved("a", 2, 2)))],
        "context": {"page": "home", "speed": 1.5},
        "values": {"shown_price": [1.0, 2.0, 3.0, 4.0]},
    }
    return Exposure(**(told | changed))


def click(n: int, item: str = "d", **changed: Any) -> Interaction:
    """A click on an item of request n, ten seconds later."""
    told: dict[str, Any] = {
        "time_us": START_US + n * MINUTE_US + 10_000_000,
        "shopper": f"u{n % 3}",
        "session": f"s{n % 3}",
        "action": "click",
        "item": item,
        "request": f"r{n}",
    }
    return Interaction(**(told | changed))
