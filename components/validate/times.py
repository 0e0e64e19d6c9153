"""Check clocks and windows."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise

import numpy as np
import polars as pl

from components.contract.dataset import Dataset
from components.contract.sources import EventSource, Impressions, ListRows, Rows
from components.contract.values.event_time import EARLIEST_US
from components.ingest.requests.request_identity import gap_us, with_moments
from components.ingest.requests.splits import BEFORE, SPLITS, assign, bounds
from components.validate.attribution import attribution_checks, identity_checks
from components.validate.check import EXAMPLES, FAIL_SHARE, Check, Verdict, of_rows, share
from components.validate.events import EventScan, locate_event

_DAY_US = 86_400_000_000
_TAIL = 0.005
_RARE = 0.99  # of the requests without a positive: more, and actions hardly find their requests


def clock_checks(dataset: Dataset, scan: EventScan) -> Iterator[Check]:
    """Check for times that a correct clock wouldn't give. Nothing without events or time."""
    moments = pl.concat(scan.moments)
    time = moments["time"].to_numpy()
    old = time < EARLIEST_US
    # Days or hours since 1970 are in no log: with such a unit the log counts from a moment of its own.
    counts_on_purpose = all(_first_unit(source) in ("d", "h", "m") for source in dataset.events)
    yield of_rows(
        "clocks: before 1990, or in another unit",
        int(old.sum()),
        len(time),
        noun="events",
        examples=_moments(scan, dataset, moments, old),
        fail_share=1.0 if counts_on_purpose else FAIL_SHARE,
    )
    # Most events lie between two quantiles; a time farther from these than they are from each other is an outlier.
    low, high = np.quantile(time, [_TAIL, 1 - _TAIL], method="nearest")
    reach = max(int(high - low), _DAY_US)
    stray = ((time < low - reach) | (time > high + reach)) & ~old
    name = "clocks: far from all the rest"
    yield of_rows(name, int(stray.sum()), len(time), noun="events", examples=_moments(scan, dataset, moments, stray))
    if all(source.columns.order for source in dataset.events):
        name = "clocks: time goes back while the order goes on"
        yield of_rows(name, scan.backwards.rows, len(time), noun="events", examples=scan.backwards.examples)


def request_checks(dataset: Dataset, scan: EventScan) -> Iterator[Check]:
    """Check requests, their labels, and whether actions came before their requests."""
    if isinstance(dataset.candidates, Rows):
        positives = scan.positives
        verdict: Verdict = "PASS" if 0 < positives < scan.shown_rows else "FAIL"
        yield Check("rows with a positive label", verdict, f"{positives:,} of {scan.shown_rows:,} ({share(positives, scan.shown_rows)})")
        return
    shown = requests(dataset, scan)
    if not len(shown):
        origin = dataset.candidates.origin
        yield Check("requests", "FAIL", f"none: candidates from {origin!r} need rows of {', '.join(_sources_of_requests(dataset))}")
        return
    if not isinstance(dataset.candidates, Impressions | ListRows):
        yield Check("requests", "PASS", f"{len(shown):,}, with {scan.shown_rows / len(shown):.3g} actions to predict each")
        return
    yield Check("requests", "PASS", f"{len(shown):,}, with {scan.shown_rows / len(shown):.3g} candidates each")
    assert scan.measured is not None
    locate = partial(locate_event, scan, dataset)
    yield from identity_checks(scan.measured, dataset, locate)
    yield from attribution_checks(scan.measured, dataset, locate)
    without = len(shown) - scan.measured.positive
    outcome: Verdict = "PASS" if without <= _RARE * len(shown) else "FAIL" if without == len(shown) else "WARN"
    yield Check("requests without a positive", outcome, f"{without:,} of {len(shown):,} ({share(without, len(shown))})")


def window_checks(dataset: Dataset, scan: EventScan) -> Iterator[Check]:
    """Check that the windows are in order and none is empty, and count what lies outside of them."""
    time = pl.concat(scan.moments)["time"]
    request_times = requests(dataset, scan)["time"].to_numpy()
    window = bounds(dataset, int(time.min()), int(time.max()))  # type: ignore[arg-type]
    edges = {"train": window.train_us, "eval": window.eval_us, "test": window.test_us, "until": window.until_us}
    edge_texts = ", ".join(f"{name} {_day(at)}" for name, at in edges.items())
    span = f"the events go from {_day(int(time.min()))} to {_day(int(time.max()))}"  # type: ignore[arg-type]
    order = list(edges.values())
    if not all(before < after for before, after in pairwise(order)):
        yield Check("windows in order", "FAIL", f"{edge_texts}: expected each after the one before; {span}")
        return
    split = assign(request_times, window)
    sizes = {name: int((split == at).sum()) for at, name in enumerate(SPLITS)}
    empty = [name for name, size in sizes.items() if not size]
    text = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    before, after = int((split == BEFORE).sum()), int((request_times > window.until_us).sum())
    late = len(request_times) - before - after - sum(sizes.values())
    text += f", too close to a window's end {late:,}" if late else ""
    text += f"; empty: {', '.join(empty)}; {span}" if empty else ""
    yield Check("requests in the windows", "FAIL" if empty else "PASS", f"{text} ({edge_texts})")
    check = of_rows("requests outside the windows", before + after, len(request_times), noun="requests", fail_share=1.0)
    yield replace(check, result=f"{check.result}: {before:,} before, {after:,} after") if before + after else check


def _first_unit(source: EventSource) -> str:
    return source.time_unit if isinstance(source.time_unit, str) else source.time_unit[0]


def requests(dataset: Dataset, scan: EventScan) -> pl.DataFrame:
    """Return each request once, with its earliest time: a request's rows may be in several blocks."""
    if scan.measured is not None:
        return scan.measured.requests
    if not scan.shown:
        return pl.DataFrame(schema={"key": pl.UInt64, "time": pl.Int64})
    rows = pl.concat(scan.shown)
    return rows.unique() if isinstance(dataset.candidates, Rows) else with_moments(rows, ["key"], pause_us=gap_us(dataset)).unique()


def _sources_of_requests(dataset: Dataset) -> list[str]:
    action = getattr(dataset.candidates, "action", None)
    return [action] if action else list(dataset.label_gains)


def _moments(scan: EventScan, dataset: Dataset, moments: pl.DataFrame, wrong: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[str]:
    first = moments.filter(pl.Series(wrong)).head(EXAMPLES)
    return [f"{locate_event(scan, dataset, seq)}: {_moment(at)}" for at, seq in first.iter_rows()]


def _moment(at_us: int) -> str:
    try:
        return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError):
        return f"{at_us / 1e6:.3g} s since 1970"


def _day(at_us: int) -> str:
    return _moment(at_us)[:16]
