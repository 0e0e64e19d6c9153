"""A window of the service's own log: what was seen, what came of it, and the features that were sent."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from components.contract.errors import InputError
from components.contract.load import parse_dataset
from components.drift.faults.log_faults import DELAY
from components.drift.sketch.category_sketch import CategorySketch
from components.drift.sketch.number_sketch import NumberSketch, bin_values
from components.drift.sketch.quality_sums import OVERALL, SUMS, cells
from components.drift.sketch.window_sketch import WindowSketch
from components.evaluation.metrics.id_hashes import hash_id
from pipeline.drift import json_chunks
from pipeline.drift.read_log import LogSpan, LogWindows, last_decision_us, read_log
from tests.pipeline.drift.shop_log import DATASET, HOUR_US, MINUTE_US, SHOP, START_US, click, exposure, written

WHOLE = LogSpan(START_US, START_US, START_US + 240 * HOUR_US)


def read(log: Path, span: LogSpan = WHOLE, version: int = 7) -> LogWindows:
    return read_log(log, DATASET, span, version=version, say=lambda _: None)


def numbers(sketch: WindowSketch, name: str) -> dict[float, int]:
    """A column's values, rounded to three digits, with their number; None: missing."""
    column = sketch.columns[name]
    assert isinstance(column, NumberSketch)
    counts = column.counts.sum(axis=0)
    return {round(float([*bin_values(), np.inf][at]), 2): int(counts[at]) for at in np.flatnonzero(counts)}


def texts(sketch: WindowSketch, name: str) -> dict[str, int]:
    column = sketch.columns[name]
    assert isinstance(column, CategorySketch)
    return {value: int(column.counts[row].sum()) for value, row in column.values.items()}


def test_columns_are_of_the_candidates_that_were_seen(tmp_path: Path) -> None:
    sketch = read(written(tmp_path, [exposure(1)], [])).window.sketch
    assert texts(sketch, "item") == {"d": 1, "a": 1}
    assert texts(sketch, "tags") == {"blue": 1, "new": 1, "red": 1}
    assert list(numbers(sketch, "price").values()) == [1, 1]
    assert sorted(numbers(sketch, "price")) == pytest.approx([1.0, 4.0], rel=0.03)
    assert sorted(numbers(sketch, "look")) == pytest.approx([1.0, 5.0], rel=0.03)
    assert sorted(numbers(sketch, "score")) == pytest.approx([0.25, 0.75], rel=0.03)
    assert sorted(numbers(sketch, "position")) == pytest.approx([0, 1], abs=0.03)  # as shown, not as asked for


def test_of_a_history_the_newest_event_counts_and_its_length(tmp_path: Path) -> None:
    sketch = read(written(tmp_path, [exposure(1), exposure(2)], [])).window.sketch
    assert texts(sketch, "history_item") == {"new": 1}
    assert sorted(numbers(sketch, "n_history")) == pytest.approx([0, 2], rel=0.03)
    assert texts(sketch, "page") == {"home": 2}


def test_a_request_whose_features_werent_logged_still_counts_with_its_scores(tmp_path: Path) -> None:
    windows = read(written(tmp_path, [exposure(1), exposure(2, features=None)], []))
    assert int(windows.window.sketch.requests.sum()) == 2
    assert texts(windows.window.sketch, "page") == {"home": 1}
    assert sum(numbers(windows.window.sketch, "score").values()) == 4
    assert (windows.counts["requests"], windows.counts["requests with features"]) == (2, 1)


def test_a_click_in_time_is_a_label_and_its_delay_is_known(tmp_path: Path) -> None:
    clicks = [click(1, "d", 10), click(2, "a", -3), click(3, "d", -60), click(4, "d", 2 * 3600)]
    sketch = read(written(tmp_path, [exposure(n) for n in range(1, 5)], clicks)).window.sketch
    assert list(numbers(sketch, "label").values()) == [6, 2]  # 0 and 1
    assert sorted(numbers(sketch, DELAY)) == pytest.approx([-60, -3, 10, 7200], rel=0.03)


def test_quality_is_that_of_the_lists_as_they_were_seen(tmp_path: Path) -> None:
    windows = read(written(tmp_path, [exposure(1), exposure(2)], [click(1, "d", 10), click(2, "a", 10)]))
    sums = dict(zip(SUMS, windows.window.quality.by_group[OVERALL].sum(axis=0), strict=True))
    assert (sums["contrasted"], sums["auc"], sums["positives"], sums["labelled"]) == (2, 1, 2, 4)  # right in one of two
    assert sums["score"] == pytest.approx(2.0)
    assert ("page", "home") in windows.window.quality.by_group


def test_a_label_that_may_still_come_is_unknown(tmp_path: Path) -> None:
    late = exposure(24 * 60 - 30)  # half an hour before the log's last event
    windows = read(written(tmp_path, [exposure(1), late], []))
    assert sum(numbers(windows.window.sketch, "label").values()) == 2
    assert windows.counts["candidates whose label may still come"] == 2


def test_where_the_page_reports_what_it_showed_that_was_seen(tmp_path: Path) -> None:
    reported = click(1, "c", 1, action="show")
    sketch = read(written(tmp_path, [exposure(1, shown=0)], [reported])).window.sketch
    assert texts(sketch, "item") == {"c": 1}
    assert sorted(numbers(sketch, "position")) == pytest.approx([2], rel=0.03)


def test_what_belongs_to_no_list_is_counted(tmp_path: Path) -> None:
    strays = [click(200, "a", 10), click(201, "b", 10, request=""), click(202, "zzz", 10, request="r1")]
    counts = read(written(tmp_path, [exposure(1)], strays)).counts
    assert counts["labelled interactions that no list shows"] == 2
    assert counts["interactions without a request"] == 1


def test_scores_of_another_release_and_of_no_model_are_left_out(tmp_path: Path) -> None:
    exposures = [exposure(1), exposure(2, version="6"), exposure(3, version="", scores=None, degraded="popularity; timeout")]
    windows = read(written(tmp_path, exposures, []))
    assert sum(numbers(windows.window.sketch, "score").values()) == 2
    assert windows.counts["lists that the release ranked"] == 1
    assert windows.counts["requests that no model answered: popularity"] == 1


def test_the_window_is_cut_at_its_moments_and_what_came_before_is_apart(tmp_path: Path) -> None:
    log = written(tmp_path, [exposure(n) for n in (1, 10, 20, 30)], [])
    windows = read(log, LogSpan(START_US + 10 * MINUTE_US, START_US + 20 * MINUTE_US, START_US + 30 * MINUTE_US))
    assert (int(windows.before.sketch.requests.sum()), int(windows.window.sketch.requests.sum())) == (1, 1)
    with pytest.raises(InputError, match="expected decisions of the ranking service in the window, got none"):
        read(log, LogSpan(START_US, START_US + 50 * HOUR_US, START_US + 60 * HOUR_US))


def test_shorter_windows_begin_within_it_and_the_parts_are_the_whole(tmp_path: Path) -> None:
    log = written(tmp_path, [exposure(n) for n in (1, 10, 20, 30)], [])
    at = [START_US + minute * MINUTE_US for minute in (0, 5, 15, 25, 40)]
    windows = read(log, LogSpan(at[0], at[1], at[4], (at[2], at[3])))
    assert [int(part.sketch.requests.sum()) for part in (windows.before, *windows.parts)] == [1, 1, 1, 1]
    assert int(windows.window.sketch.requests.sum()) == windows.counts["requests"] == 3


def test_tastes_before_the_window_are_of_whichever_release_answered_and_scores_of_the_one_asked_for(tmp_path: Path) -> None:
    dataset = parse_dataset(SHOP.replace("slices: [page]", "slices: [page, item]"))
    log = written(tmp_path, [exposure(1, version="6"), exposure(2), exposure(3)], [click(1, "d", 5)])
    span = LogSpan(START_US + 2 * MINUTE_US, START_US + 3 * MINUTE_US, START_US + 4 * MINUTE_US)
    windows = read_log(log, dataset, span, version=7, say=lambda _: None)
    (sums,) = windows.before.quality.by_cell.values()
    assert sums.sum(axis=(0, 1)) == pytest.approx([1 - 2 * (0.75 + 0.25), 4, 1])  # residuals, candidates and clicks of two requests
    assert windows.before.quality.by_group[OVERALL][:, SUMS.index("candidates")].sum() == 2  # of the second request


def test_the_last_decision_of_a_log_is_found_behind_torn_lines(tmp_path: Path) -> None:
    assert last_decision_us(tmp_path) is None
    log = written(tmp_path, [exposure(n) for n in (1, 3, 2)], [])
    (file,) = log.glob("decisions-*.jsonl")
    (log / "decisions-older.jsonl").write_text(file.read_text().splitlines()[0] + "\n")
    with file.open("a") as opened:
        opened.write('{"time": 17672')
    assert last_decision_us(log) == START_US + 2 * MINUTE_US


def test_a_shopper_is_in_the_group_that_their_examples_are_in(tmp_path: Path) -> None:
    guest = exposure(2, shopper="")
    sketch = read(written(tmp_path, [exposure(1), guest], [])).window.sketch
    groups = {hash_id("u1") % 64, hash_id(f"r2@{guest.time_us}") % 64}
    assert set(np.flatnonzero(sketch.requests).tolist()) == groups


def test_lines_that_arent_readable_are_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    log = written(tmp_path, [exposure(n) for n in range(1, 4)], [])
    (file,) = log.glob("decisions-*.jsonl")
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], "no JSON", json.dumps({"request": 1, "time": "never"}), lines[2]]) + "\n")
    windows = read(log)
    assert (windows.counts["requests"], windows.counts["unreadable lines of decisions"]) == (2, 2)


def test_chunks_of_any_size_give_the_same_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = written(tmp_path, [exposure(n) for n in range(1, 30)], [click(3, "d", 5)])
    whole = read(log)
    monkeypatch.setattr(json_chunks, "CHUNK_BYTES", 3_000)
    parts = read(log)
    assert parts.counts == whole.counts
    assert texts(parts.window.sketch, "item") == texts(whole.window.sketch, "item") == {"d": 29, "a": 29}
    assert np.allclose(parts.window.quality.by_group[OVERALL], whole.window.quality.by_group[OVERALL])


def test_who_clicks_on_what_is_counted_for_requests_with_features(tmp_path: Path) -> None:
    dataset = parse_dataset(SHOP.replace("slices: [page]", "slices: [page, item]"))
    log = written(tmp_path, [exposure(1), exposure(2, features=None)], [click(1, "d", 5)])
    (counted,) = read_log(log, dataset, WHOLE, version=7, say=lambda _: None).window.quality.by_cell.items()
    pair, sums = counted
    assert pair == ("page", "item")
    expected = cells(pa.array(["home", "home"]), pa.array(["d", "a"]))
    by_cell = sums.sum(axis=0)
    assert by_cell[expected] == pytest.approx(np.array([[1 - 0.75, 1, 1], [-0.25, 1, 0]]))  # of those seen of the first request
    assert by_cell.sum() == pytest.approx(by_cell[expected].sum())


def test_labels_are_known_by_action(tmp_path: Path) -> None:
    dataset = parse_dataset(SHOP.replace("click: {label: 1}", "click: {label: 1}, buy: {label: 2}"))
    sketch = read_log(written(tmp_path, [exposure(1)], [click(1, "d", 5)]), dataset, WHOLE, version=7, say=lambda _: None).window.sketch
    assert numbers(sketch, "label") == numbers(sketch, "label_click") == {0.0: 1, 1.02: 1}  # the middle of its bin
    assert numbers(sketch, "label_buy") == {0.0: 2}
