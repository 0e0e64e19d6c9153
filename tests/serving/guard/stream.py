"""A log of shoppers who come once each, are ranked by one of two versions, and click with a known chance."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serving.exposure.event_types import Exposure, Interaction
from serving.exposure.log import ExposureLog, LogSettings
from tests.serving.exposure.shop_log import dataset

START_US = 1_767_225_600_000_000
STEP_US = 100_000


@dataclass(frozen=True)
class Side:
    """How a version answers."""

    clicked: float = 0.2
    failed: float = 0.0
    slow: float = 0.01
    mean: float = 0.3  # of its scores


GOOD = Side()


def told(side: str, version: int, kind: Side, *, n: int, rng: np.random.Generator) -> tuple[Exposure, Interaction | None]:
    """Request n and the click on it, if there is one."""
    failed, slow, clicked = (bool(rng.random() < rate) for rate in (kind.failed, kind.slow, kind.clicked))
    scores = rng.beta(10 * kind.mean, 10 * (1 - kind.mean), 4).tolist()
    what: dict[str, Any] = {
        "request": f"r{n}",
        "time_us": START_US + n * STEP_US,
        "shopper": f"u{n}",
        "items": ["a", "b", "c", "d"],
        "order": [0, 1, 2, 3],
        "shown": 0,
        "scores": None if failed else scores,
        "label": side,
        "version": "" if failed else str(version),
        "degraded": f"popularity ({side}: rubbish)" if failed else "",
        "model_ms": 80.0 if slow else 4.0,
    }
    click = Interaction(time_us=START_US + n * STEP_US + 5_000_000, shopper=f"u{n}", action="click", item="a", request=f"r{n}")
    return Exposure(**what), click if clicked else None


def stream(
    canary: Side, stable: Side = GOOD, *, requests: int, seed: int, share: float = 0.3
) -> Iterator[tuple[Exposure, Interaction | None]]:
    """Requests of version 2, of which a share is asked of version 3, the canary."""
    rng = np.random.default_rng(seed)
    for n in range(requests):
        tried = rng.random() < share
        yield told("canary", 3, canary, n=n, rng=rng) if tried else told("stable", 2, stable, n=n, rng=rng)


def write(folder: Path, told: Iterator[tuple[Exposure, Interaction | None]], **settings: Any) -> None:
    """Into a log, in files as the service writes them."""
    log = ExposureLog(dataset(), LogSettings(folder, queue_rows=10_000_000, **settings))
    clicks = []
    for exposure, click in told:
        assert log.offer(exposure)
        if click is not None:
            clicks.append(click)
    log.commit(clicks).result(60)
    assert log.close(60)
