"""Live figures against brute force, on random logs in random order."""

import numpy as np
import polars as pl
import pytest

from components.contract.errors import InputError
from components.contract.load import parse_dataset
from serving.stream.figures.breakdown import Dimension
from serving.stream.figures.live_figures import FigureMetrics, Figures, FigureSettings, LiveFigures
from tests.serving.stream.figures import attribution_oracle as oracle
from tests.serving.stream.figures.attribution_oracle import MINUTE_US, dataset, figures_of, frames, random_log, requests_of

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


def newest_us(events: pl.DataFrame) -> int:
    return max(events["time"].to_list(), default=0)


def added(rows: list[oracle.Row], batches: list[np.ndarray], **settings: float) -> LiveFigures:
    figures = LiveFigures(dataset(), FigureSettings(every_s=0, **settings))  # type: ignore[arg-type]
    events, meta = frames(rows)
    for batch in batches:
        figures.add(events[batch], meta[batch], now_us=NOW_US, watermark_us=newest_us(events[batch]))
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


def shown(request: str, at_us: int, *, user: str = "a", item: str = "p1") -> oracle.Row:
    described = {"version": "7", "arms": "{}", "f:device": ""}
    base = {"time": at_us, "user": user, "item": item, "action": "impression", "request": request, "session": "", "revenue": float("nan")}
    return base | described


def clicked(request: str, at_us: int, *, user: str = "a", item: str = "p1") -> oracle.Row:
    return shown(request, at_us, user=user, item=item) | {"action": "click"}


def add(figures: LiveFigures, *rows: oracle.Row, watermark_us: int | None = None) -> None:
    events, meta = frames(list(rows))
    figures.add(events, meta, now_us=NOW_US, watermark_us=newest_us(events) if watermark_us is None else watermark_us)


def test_a_request_is_final_once_its_window_and_the_time_for_late_events_are_over() -> None:
    figures = LiveFigures(dataset(), FigureSettings(every_s=0, late_s=60))
    add(figures, shown("r1", 0), clicked("r1", MINUTE_US), shown("r2", 30 * MINUTE_US))
    assert (figures.metrics().open[ALL].requests, figures.metrics().final[ALL].requests) == (2, 0)
    add(figures, shown("r3", 61 * MINUTE_US - 1))
    assert figures.metrics().open[ALL].requests == 3
    add(figures, shown("r4", 61 * MINUTE_US))
    metrics = figures.metrics()
    assert (metrics.final[ALL].requests, metrics.final[ALL].followed["click"]) == (1, 1)
    assert (metrics.open[ALL].requests, metrics.open[ALL].followed["click"]) == (3, 0)


def test_an_action_that_comes_late_still_counts_until_its_request_is_final_and_is_counted_as_late_after_that() -> None:
    figures = LiveFigures(dataset(), FigureSettings(every_s=0, late_s=60))
    add(figures, shown("r1", 0), shown("r2", MINUTE_US))
    add(figures, shown("r3", 60 * MINUTE_US))
    add(figures, clicked("r1", 10 * MINUTE_US))
    add(figures, shown("r4", 61 * MINUTE_US))
    add(figures, clicked("r1", 20 * MINUTE_US, item="p1"), shown("r0", 0))
    metrics = figures.metrics()
    assert (metrics.final[ALL].requests, metrics.final[ALL].followed["click"]) == (1, 1)
    assert (metrics.counts.late_actions, metrics.counts.late_requests) == (1, 1)


def test_a_partition_that_lags_isnt_late_as_long_as_the_caller_says_so() -> None:
    figures = LiveFigures(dataset(), FigureSettings(every_s=0))
    add(figures, shown("new", 600 * MINUTE_US), watermark_us=0)
    add(figures, shown("old", 0), clicked("old", 1), watermark_us=1)
    assert (figures.metrics().open[ALL].requests, figures.metrics().open[ALL].followed["click"]) == (2, 1)


def test_beyond_the_memory_a_share_of_the_shoppers_is_counted_and_their_rates_stay() -> None:
    figures = LiveFigures(dataset(), FigureSettings(every_s=0, most_requests=1024))
    rows = []
    for number in range(40_000):
        rows += [shown(f"r{number}", number * 1000, user=f"u{number % 5000}")]
        rows += [clicked(f"r{number}", number * 1000 + 500, user=f"u{number % 5000}")] * (number % 2)
    for begin in range(0, len(rows), 1000):
        add(figures, *rows[begin : begin + 1000])
    metrics = figures.metrics()
    assert metrics.share <= 1 / 16
    assert metrics.counts.dropped_requests > 1000
    assert 0 < metrics.open[ALL].requests <= 1024
    # The clicked half are shoppers with an odd number: of those sampled about half.
    assert metrics.open[ALL].followed["click"] / metrics.open[ALL].requests == pytest.approx(0.5, abs=0.15)


def test_more_impressions_than_memory_leave_their_requests_out_instead_of_without_clicks() -> None:
    figures = LiveFigures(dataset(), FigureSettings(every_s=0, most_requests=1024))
    for number in range(12):
        add(figures, *(shown(f"r{number}", number * MINUTE_US, user=f"u{number}", item=f"p{item}") for item in range(1000)))
    metrics = figures.metrics()
    assert metrics.counts.dropped_requests + metrics.open[ALL].requests >= 8
    assert metrics.open[ALL].requests <= 8


def test_values_beyond_the_limit_of_a_dimension_count_as_other() -> None:
    figures = LiveFigures(dataset(), FigureSettings(every_s=0))
    add(figures, *(shown(f"r{number}", number) | {"version": f"{number}"} for number in range(60)))
    by_version = {d.value: f.requests for d, f in figures.metrics().open.items() if d.by == "version"}
    assert (len(by_version), by_version["other"], by_version["0"]) == (51, 10, 1)


def test_figures_need_a_dataset_with_lists() -> None:
    shop = oracle.SHOP.replace("attribution: 1h\n", "").replace("skew: 1m\n", "").replace("side: item, source: events", "side: item")
    sampled = shop.replace("from: impressions", "from: sampling, negatives: 2").replace(
        "actions:\n", "items: {path: items.csv, id: id}\nactions:\n", 1
    )
    with pytest.raises(InputError, match=r"expected `candidates: \{from: impressions\}`.*got 'sampling'"):
        LiveFigures(parse_dataset(sampled))


def test_segments_are_of_the_users_table_where_the_dataset_says_so() -> None:
    shop = oracle.SHOP.replace("segment: device", "segment: country").replace(
        "features:\n", "users: {path: users.csv, id: id}\nfeatures:\n  - {name: country, kind: category, side: user}\n"
    )
    users = pl.DataFrame({"__id__": ["a"], "country": ["DE"]})
    figures = LiveFigures(parse_dataset(shop), FigureSettings(every_s=0), users=users)
    add(figures, shown("r1", 0), shown("r2", 1, user="b"))
    assert {d.value: f.requests for d, f in figures.metrics().open.items() if d.by == "segment"} == {"DE": 1, "": 1}
