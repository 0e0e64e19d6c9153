"""Live figures against brute force, on random logs in random order."""

from tests.serving.stream.figures import attribution_oracle as oracle
import numpy as np
import polars as pl
import pytest
from tests.serving.stream.figures.attribution_oracle import MINUTE_US, dataset, figures_of, frames, random_log, requests_of

from components.contract.errors import InputError
from components.contract.load import parse_dataset
from serving.stream.figures.breakdown import Dimension
from serving.stream.figures.live_figures import FigureMetrics, Figures, FigureSettings, LiveFigures

NOW_US = 10**15
ALL = Dimension("all")


def tuples(figures: dict[Dimension, Figures]) -> dict[Dimension, tuple[float, ...]]:
    return {d: (f.requests, f.followed["click"], f.followed["buy"], f.amounts["revenue"]) for d, f in figures.items()}


def total(metrics: FigureMetrics) -> dict[Dimension, tuple[float, ...]]:
    both: dict[Dimension, tuple[float, ...]] = {}
    for part in (metrics.open, metrics.final):
        for dimension, values in tuples(dict(part)).items():
            both[dimension] = tuple(np.add(both.get(dimension, (0.0,) * 4), values).tolist())
    return both


def added(rows: list[oracle.Row], batches: list[np.ndarray], **settings: float) -> LiveFigures:
    figures = LiveFigures(dataset(), FigureSettings(every_s=0, **settings))  # type: ignore[arg-type]
    events, meta = frames(rows)
    for batch in batches:
        figures.add(events[batch], meta[batch], NOW_US)
    return figures


@pytest.mark.parametrize("seed", range(12))
def test_figures_equal_brute_force_whatever_the_order_of_arrival(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = random_log(rng)
    order = rng.permutation(len(rows))
    cuts = np.sort(rng.integers(0, len(rows), rng.integers(1, 12)))
    figures = added(rows, np.split(order, cuts), late_s=1e6)
    expected = figures_of(requests_of(rows))
    assert sum(each[1] for each in expected.values()) > 0
    assert total(figures.metrics()) == expected  # revenue is in quarters, which sums keep
