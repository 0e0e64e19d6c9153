"""The simulated quarter: its sums by hand, and a few days in which the table says what the policies did."""

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.quarter.page import render
from benchmarks.quarter.quality import Served, difference, expected_clicks
from benchmarks.quarter.result import NIGHTLY, OURS, POLICIES, WHOLE, Day, document, rows, table
from benchmarks.quarter.shop import Quarter, Truth
from components.drift.sketch.quality_sums import cells

USERS = np.arange(2, dtype=np.uint64)


def test_clicks_are_expected_where_a_shopper_looks_and_finds_it_relevant() -> None:
    truth = Truth(np.array([0.5, 0.1, 0.2, 0.4]), np.array([2, 2]), USERS)
    # Place 0 is looked at surely, place 1 with 1 / 1.25.
    assert expected_clicks(truth, np.array([2.0, 1.0, 3.0, 9.0])) == pytest.approx([0.5 + 0.1 / 1.25, 0.4 + 0.2 / 1.25])
    assert expected_clicks(truth, np.array([1.0, 2.0, 7.0, 7.0])) == pytest.approx([0.1 + 0.5 / 1.25, 0.2 + 0.4 / 1.25])


def test_equal_lists_differ_by_nothing_surely_and_shops_that_disagree_widen_the_interval() -> None:
    users = np.arange(500, dtype=np.uint64)
    clicks = np.random.default_rng(0).uniform(0.5, 1.0, 500)
    served, worse = Served(clicks, np.ones(500), users), Served(clicks - 0.1, np.ones(500), users)
    assert difference([served], [served]) == (0.0, 0.0)
    apart, half = difference([worse], [served])
    assert (apart, half < 0.02) == (pytest.approx(-0.1), True)
    apart, half = difference([worse, served], [served, served])
    assert apart == pytest.approx(-0.05)
    assert half == pytest.approx(1.96 * 0.05, rel=0.05)  # the standard error of the mean of -0.1 and 0


def test_the_phases_are_all_days_in_order() -> None:
    quarter = Quarter(days=90)
    assert [day for days in quarter.phases().values() for day in days] == list(range(90))
    assert (quarter.drift_day, quarter.broken_days) == (30, range(60, 64))


def day(clicks: float, seconds: float, did: str = "") -> Day:
    served = Served(np.full(100, clicks), np.ones(100), np.arange(100, dtype=np.uint64))
    return Day(served=served, seconds={"training": seconds}, did=did, why="")


def test_the_table_sums_days_up_by_phase() -> None:
    quarter = Quarter(days=3)  # one day before the drift, one after it, and one with the fault
    made = rows(
        quarter,
        [
            {
                "never": [day(0.9, 0.0), day(0.6, 0.0), day(0.5, 0.0)],
                NIGHTLY: [day(0.9, 30.0, "full promoted"), day(0.8, 30.0, "full promoted"), day(0.7, 0.0)],
                OURS: [day(0.9, 5.0), day(0.7, 10.0, "warm promoted"), day(0.7, 1.0, "frozen")],
            }
        ],
    )
    by_name = {(row.phase, row.policy): row for row in made}
    after = by_name["after the drift", OURS]
    assert (after.quality, after.apart[0], after.seconds, after.share) == (
        pytest.approx(0.7),
        pytest.approx(-0.1),
        10.0,
        pytest.approx(1 / 3),
    )
    assert dict(after.did) == {"warm promoted": 1}
    whole = by_name[WHOLE, OURS]
    assert (whole.quality, whole.seconds, whole.share) == (pytest.approx(2.3 / 3), 16.0, pytest.approx(16 / 60))
    assert dict(by_name[WHOLE, NIGHTLY].did) == {"full promoted": 2}
    assert math.isnan(by_name["price feed down", OURS].share)  # nightly's last night isn't served by anything
    assert table(quarter, made).row_count == 4 * len(POLICIES)


def test_the_drift_check_sees_who_clicks_on_what() -> None:
    from benchmarks.quarter.policies import ranked_lists

    texts = {
        "user": [["u1"], ["u2"]],
        "request": [["r1"], ["r2"]],
        "device": [["app"], ["web"]],
        "segment": [["a"], []],
        "category": [["x", "y"], ["x"]],
    }
    binary = {name: [[text.encode() for text in row] for row in rows] for name, rows in texts.items()}
    columns = {name: pa.array(rows, pa.list_(pa.binary())) for name, rows in binary.items()}
    columns |= {"time": pa.array([[1], [2]]), "label": pa.array([[1.0, 0.0], [0.0]], pa.list_(pa.float32()))}
    lists = ranked_lists(pa.record_batch(columns), np.array([0.5, 0.25, 0.5], np.float32))
    assert set(lists.cells) == {("device", "category"), ("segment", "category")}
    by_segment, by_device = lists.cells["segment", "category"], lists.cells["device", "category"]
    assert by_segment[2] == -1  # no segment is known
    assert (by_segment == cells(pa.array(["a", "a", ""]), pa.array(["x", "y", "x"]))).all()
    assert (by_device == cells(pa.array(["app", "app", "web"]), pa.array(["x", "y", "x"]))).all()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_few_days_are_what_the_policies_did(tmp_path: Path) -> None:
    from benchmarks.quarter.__main__ import read_days
    from benchmarks.quarter.simulate import simulate
    from pipeline.retrain.cycle import Outcome
    from pipeline.retrain.ledger import Ledger

    quarter = Quarter(days=6, requests=400)  # tastes turn on day 2, the price feed is down on day 4
    for name in POLICIES:
        simulate(quarter, tmp_path, name)
    days = read_days(quarter, tmp_path)
    assert [each.did for each in days["never"]] == [""] * 6
    assert [each.did for each in days[NIGHTLY]] == ["full promoted"] * 5 + [""]
    # All begin with one model, and only those that train part from it.
    first = {policy: days[policy][0].served.clicks for policy in POLICIES}
    assert (first["never"] == first[NIGHTLY]).all()
    assert (first["never"] == first[OURS]).all()
    assert not (days["never"][1].served.clicks == days[NIGHTLY][1].served.clicks).all()
    # What the ledger of retraining says is what the days say.
    cycles = Ledger(tmp_path / OURS / "retrain").history().cycles
    ledger_says = {f"{cycle.start} {cycle.outcome}" for cycle in cycles if cycle.outcome == Outcome.PROMOTED}
    assert {each.did for each in days[OURS] if each.did.endswith("promoted")} == ledger_says
    assert [cycle.outcome for cycle in cycles][-1] == Outcome.FROZEN
    assert days[OURS][4].did == "frozen"
    assert "price" in days[OURS][4].why
    # A model that doesn't change serves what it served: after the freeze the release stays.
    made = rows(quarter, [days])
    assert next(row for row in made if (row.phase, row.policy) == (WHOLE, "never")).seconds == 0.0
    assert json.dumps(document(quarter, made, [days]), allow_nan=False)
    assert "price feed is down from day 4 on, for 1 day." in render(quarter, made, [days])
    # Days that are there aren't simulated again.
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*/*.json")}
    for name in POLICIES:
        simulate(quarter, tmp_path, name)
    assert before == {file: file.stat().st_mtime_ns for file in tmp_path.glob("*/*.json")}
