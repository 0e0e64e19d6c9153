"""A shop whose ranking service keeps a log, and what is in it."""

from pathlib import Path
from typing import Any

import numpy as np

from components.contract.load import parse_dataset
from serving.exposure.event_types import Exposure, Interaction
from serving.exposure.log import ExposureLog, LogSettings

SHOP = """\
name: shop
events: {path: events.csv, columns: {time: at, user: user, item: item, action: action, request: request, position: position}}
items: {path: items.csv, id: id}
actions: {show: {values: [view]}, click: {label: 1}, search: {item: false}}
candidates: {from: impressions, action: show}
attribution: 1h
skew: 5s
windows: {until: 2026-02-01}
features:
  - {name: page, kind: category, side: context}
  - {name: price, kind: number, side: item}
  - {name: tags, kind: multi, side: item}
  - {name: look, kind: vector, side: item, size: 2}
  - {name: position, kind: number, side: item}
  - {name: item, kind: id, side: item}
  - {name: history, kind: history, side: user, fields: [item], actions: [click]}
slices: [page]
"""
DATASET = parse_dataset(SHOP)
START_US = 1_767_225_600_000_000  # 2026-01-01
HOUR_US, MINUTE_US, SECOND_US = 3_600_000_000, 60_000_000, 1_000_000


def features(n: int) -> dict[str, Any]:
    """As sent: four candidates padded to six, two events padded to three."""
    padding = [b"", b""]
    return {
        "page": np.array([b"home"], object),
        "price": np.array([[1.0, 2.0, np.nan, 4.0, 0.0, 0.0]], np.float32),
        "tags": np.array([[b"new|red", b"", b"red", b"blue", *padding]], object),
        "look": np.array([[[3, 4], [0, 0], [6, 8], [0, 1], [0, 0], [0, 0]]], np.float32),
        "position": np.array([[0, 1, 2, 3, 0, 0]], np.int64),
        "item": np.array([[b"a", b"b", b"c", b"d", *padding]], object),
        "history_item": np.array([[b"old", b"new", b""]], object),
        "history_action": np.array([[b"click", b"click", b""]], object),
        "history_age_s": np.array([[60.0, 5.0, 0.0]], np.float32),
        "n_history": np.array([2 if n % 2 else 0], np.int64),
        "n_candidates": np.array([4], np.int64),
    }


def exposure(n: int, **changed: Any) -> Exposure:
    """Request n, at minute n: of the items a to d the first two of the order, d and a, were seen."""
    values: dict[str, Any] = {
        "request": f"r{n}",
        "time_us": START_US + n * MINUTE_US,
        "shopper": f"u{n}",
        "items": ["a", "b", "c", "d"],
        "scores": [0.25, 0.5, 0.125, 0.75],
        "order": [3, 0, 2],
        "shown": 2,
        "label": "stable",
        "version": "7",
        "features": features(n),
    }
    return Exposure(**values | changed)


def click(n: int, item: str, after_s: float, **changed: Any) -> Interaction:
    values = {"time_us": START_US + n * MINUTE_US + round(after_s * SECOND_US), "shopper": f"u{n}", "item": item, "request": f"r{n}"}
    return Interaction(**{"action": "click", **values, **changed})


def written(folder: Path, exposures: list[Exposure], interactions: list[Interaction]) -> Path:
    """The log that the service leaves, with a last event a day later, so that all labels are known."""
    log = ExposureLog(DATASET, LogSettings(folder))
    for each in exposures:
        assert log.offer(each)
    last = Interaction(time_us=START_US + 24 * HOUR_US, shopper="u", action="search")
    log.commit([*interactions, last]).result(timeout=60)
    assert log.close(timeout_s=60)
    return folder
