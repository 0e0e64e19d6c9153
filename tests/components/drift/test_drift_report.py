"""A report says what changed in words, in figures, in a page, in metrics; and of what hasn't changed it says nothing."""

import json
import re
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from tfx.types.experimental.simple_artifacts import File
from tfx.types.standard_artifacts import Examples, Model
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from components.contract.errors import InputError
from components.contract.load import parse_dataset
from components.drift.check import Window
from components.drift.component import DriftCheck, DriftGate, DriftReference, read_decision
from components.drift.decision import Action
from components.drift.report.build_report import Subject, build_report
from components.drift.report.drift_report import DriftReport
from components.drift.report.html_page import render
from components.drift.report.node_exporter import metrics_text
from components.drift.report.table import print_drift
from components.drift.sketch.example_block import request_block
from components.drift.sketch.examples import sketch_examples
from components.drift.sketch.number_sketch import NumberSketch
from components.drift.sketch.sketch_file import FILE, read_sketch
from components.drift.sketch.window_sketch import ColumnValues, RequestBlock, WindowSketch

TEXT = """
name: shop
events: {path: e.csv, columns: {time: time, user: user, item: item, action: action, request: request}}
actions: {view: {}, click: {label: 1}}
candidates: {from: impressions, action: view}
features:
  - {name: device, kind: category, side: context}
  - {name: item, kind: id, side: item}
  - {name: price, kind: number, side: item, source: events}
  - {name: weight, kind: number, side: item, source: events}
"""
DATASET = parse_dataset(TEXT)
HOUR_US = 3_600_000_000
L = 5


def examples(requests: int, *, seed: int, first_day: int, days: float, price: float | None = None) -> pa.RecordBatch:
    """Decoded examples of 200 shoppers, spread over the days; `price` in place of all prices."""
    rng = np.random.default_rng(seed)
    time = np.sort((rng.random(requests) * days + first_day) * 24 * HOUR_US).astype(np.int64)
    floats = {
        "price": np.full((requests, L), price) if price is not None else rng.lognormal(3, 1, (requests, L)),
        "weight": rng.normal(5, 1, (requests, L)),
        "label": rng.random((requests, L)) < 0.1,
    }
    columns = {name: pa.array(values.astype(np.float32).tolist(), pa.list_(pa.float32())) for name, values in floats.items()}
    words = {
        "user": [[b"u%d" % n] for n in rng.integers(0, 200, requests)],
        "request": [[b"r%d" % n] for n in range(requests)],
        "device": [[device] for device in rng.choice([b"app", b"web"], requests)],
        "item": [[b"i%d" % n for n in row] for row in rng.integers(0, 50, (requests, L))],
    }
    columns |= {name: pa.array(values, pa.list_(pa.binary())) for name, values in words.items()}
    columns["time"] = pa.array(time[:, None].tolist(), pa.list_(pa.int64()))
    return pa.record_batch(columns)


def sketched(batch: pa.RecordBatch) -> Window:
    sketch = WindowSketch()
    sketch.add(request_block(batch, DATASET))
    return Window(sketch)


def reported(price: float | None = None, **changed: object) -> DriftReport:
    subject = {
        "release": "release 3",
        "reference": sketched(examples(6_000, seed=1, first_day=100, days=10)),
        "window": sketched(examples(1_200, seed=2, first_day=110, days=2, price=price)),
    }
    return build_report(Subject(**subject | changed), DATASET, now_s=1e9)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def broken() -> DriftReport:
    return reported(price=0.0)


@pytest.fixture(scope="module")
def clean() -> DriftReport:
    return reported()


def test_a_broken_feature_comes_first_with_its_shares(broken: DriftReport) -> None:
    assert broken.decision.action is Action.FREEZE
    (reason,) = broken.decision.reasons
    assert (reason.kind, reason.subject, broken.columns[0].name) == ("broken feature", "price", "price")
    row = broken.columns[0]
    assert "distribution" in row.changed
    assert row.median is not None
    assert row.median[1] == 0
    assert sum(row.shares[0]) == pytest.approx(1)
    assert row.shares[1][0] == 1  # all of the window is in the first range
    assert len(row.cells) == len(row.shares[0]) == len(row.shares[1])
    label = next(row for row in broken.columns if row.name == "label")
    assert label.cells[:2] == ("0 or less", "above 0 to 1.05")


def test_a_clean_window_has_no_reason_and_its_spans_are_told(clean: DriftReport) -> None:
    assert clean.decision.action is Action.NOTHING
    assert clean.enough
    assert (clean.reference.requests, clean.window.requests) == (6_000, 1_200)
    assert (clean.reference.start, clean.window.end) == ("1970-04-11T00:00:00+00:00", "1970-04-23T00:00:00+00:00")
    assert sum(requests for _, requests in clean.window.by_day) == 1_200
    assert {row.name for row in clean.columns} == {"device", "item", "price", "weight", "label"}


def test_a_window_of_few_requests_isnt_judged() -> None:
    report = reported(window=sketched(examples(1_200, seed=3, first_day=110, days=2, price=0.0).slice(0, 20)))
    assert not report.enough
    assert report.decision.action is Action.NOTHING
    assert "Too little to judge" in render(report)


def test_columns_that_cant_be_compared_are_told_with_the_reason() -> None:
    window = sketched(examples(400, seed=4, first_day=110, days=2))
    extra = RequestBlock(
        np.zeros(1, np.uint64), np.array([110 * 24 * HOUR_US]), (ColumnValues("score", np.ones(1, np.float32), np.zeros(1, np.int64)),)
    )
    window.sketch.add(extra)
    window.sketch.columns["price"] = window.sketch.columns["device"]
    del window.sketch.columns["weight"]
    report = reported(window=window, left_out={"position": "nobody logs it"})
    assert report.left_out == {
        "score": "the reference has no such column",
        "weight": "this window has no such column",
        "price": "numbers in one window, texts in the other",
        "position": "nobody logs it",
    }
    assert "nobody logs it" in render(report)


def test_the_page_says_the_decision_first_and_needs_nothing_else(broken: DriftReport, clean: DriftReport) -> None:
    page = render(broken)
    assert page.index("Freeze: train on none of this") < page.index("<svg") < page.index("All columns")
    assert broken.decision.reasons[0].text.replace("'", "&#39;") in page
    assert not re.search(r"<script|<link|<img|https?://(?!www\.w3\.org)", page)
    assert "Nothing to do" in render(clean)
    assert "What changed</h2>" not in render(clean)
    assert render(broken) == page


def test_days_without_requests_have_their_room_on_the_axis() -> None:
    page = render(reported(window=sketched(examples(1_200, seed=2, first_day=114, days=2))))
    plot = page[page.index("<title>Requests per day") : page.index("The first and the last day")]
    assert re.findall(r">(\d\d-\d\d)<", plot) == ["04-11", "04-13", "04-15", "04-17", "04-19", "04-21", "04-23", "04-25"]


def test_the_terminal_shows_decision_reasons_and_the_worst_columns(broken: DriftReport) -> None:
    out = StringIO()
    print_drift(broken, Console(file=out, width=120))
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("Freeze")
    assert "broken feature (freeze): price" in lines[1]
    assert next(line for line in lines if re.match(r"│ (price|device|item|weight|label)", line)).split()[1] == "price"


def test_json_has_null_where_a_figure_isnt_defined() -> None:
    window = sketched(examples(400, seed=4, first_day=110, days=2, price=np.nan))
    document = json.loads(reported(window=window).to_json())
    price = next(row for row in document["columns"] if row["name"] == "price")
    assert price["median"][1] is None
    assert document["decision"]["action"] == "freeze"


def test_metrics_are_what_prometheus_reads(broken: DriftReport) -> None:
    families = {family.name: family for family in text_string_to_metric_families(metrics_text(broken, now_s=12.5))}
    decisions = {sample.labels["decision"]: sample.value for sample in families["shelfrank_drift_decision"].samples}
    assert decisions == {"nothing": 0, "retrain warm": 0, "retrain full": 0, "freeze": 1}
    (reason,) = families["shelfrank_drift_reasons"].samples
    assert (reason.labels, reason.value) == ({"dataset": "shop", "kind": "broken feature"}, 1)
    effects = {sample.labels["column"]: sample.value for sample in families["shelfrank_drift_column_effect"].samples}
    assert max(effects, key=lambda name: effects[name]) == "price"
    assert families["shelfrank_drift_checked_timestamp_seconds"].samples[0].value == 12.5


def artifact(kind: type, folder: Path) -> object:
    folder.mkdir(parents=True, exist_ok=True)
    made = kind()
    made.uri = str(folder)
    return made


def ingested(folder: Path, **splits: pa.RecordBatch) -> object:
    """An Examples artifact."""
    import tensorflow as tf

    for split, batch in splits.items():
        (folder / f"Split-{split}").mkdir(parents=True)
        with tf.io.TFRecordWriter(str(folder / f"Split-{split}" / "part")) as writer:
            for record in RecordBatchToExamplesEncoder().encode(batch):
                writer.write(record)
    return artifact(Examples, folder)


def champion(folder: Path, name: str) -> Model:
    model = artifact(Model, folder)
    assert isinstance(model, Model)
    model.set_string_custom_property("champion", name)
    return model


def checked(tmp_path: Path, price: float | None, requests: int = 900, days: float = 1) -> Path:
    """DriftReference of a release, then DriftCheck of a later run; the check's report."""
    old = ingested(
        tmp_path / "old",
        train=examples(3_000, seed=1, first_day=100, days=8),
        eval=examples(500, seed=2, first_day=108, days=1),
        test=examples(500, seed=3, first_day=109, days=1),
    )
    model = champion(tmp_path / "model", "release 1")
    release = artifact(File, tmp_path / "model" / "Format-Serving")
    DriftReference.test_call(examples=old, dataset=TEXT, code="c", reference=release)
    new = ingested(
        tmp_path / "new",
        train=examples(9, seed=4, first_day=110, days=1),
        test=examples(requests, seed=5, first_day=111, days=days, price=price),
    )
    report, page = artifact(File, tmp_path / "report"), artifact(File, tmp_path / "page")
    DriftCheck.test_call(examples=new, champion=model, dataset=TEXT, code="c", report=report, page=page)
    assert (tmp_path / "page" / "drift.html").read_text().startswith("<!doctype html>")
    return tmp_path / "report"


def test_a_release_s_reference_holds_all_its_splits_and_the_next_run_s_test_window_is_compared_with_it(tmp_path: Path) -> None:
    report = checked(tmp_path, price=0.0)
    assert int(read_sketch(tmp_path / "model" / "Format-Serving" / FILE).requests.sum()) == 4_000
    document = json.loads((report / "drift.json").read_text())
    assert (document["release"], document["window"]["requests"]) == ("release 1", 900)
    decision = read_decision(str(report))
    assert decision is not None
    assert decision.action is Action.FREEZE
    with pytest.raises(InputError, match=r"(?s)nothing is trained on them:\n  broken feature: price: .*freeze: false"):
        DriftGate.test_call(report=artifact(File, report), dataset=TEXT)
    DriftGate.test_call(report=artifact(File, report), dataset=TEXT + "drift: {freeze: false}\n")


def test_what_is_too_little_to_judge_is_no_decision(tmp_path: Path) -> None:
    report = checked(tmp_path, price=0.0, requests=40, days=0.1)
    assert not json.loads((report / "drift.json").read_text())["enough"]
    assert read_decision(str(report)) is None


def test_a_clean_window_passes_the_gate(tmp_path: Path) -> None:
    report = checked(tmp_path, price=None)
    DriftGate.test_call(report=artifact(File, report), dataset=TEXT)
    decision = read_decision(str(report))
    assert decision is not None
    assert decision.action is not Action.FREEZE


def test_examples_of_some_days_are_sketched_alone(tmp_path: Path) -> None:
    ingested(tmp_path, train=examples(400, seed=1, first_day=100, days=2), test=examples(100, seed=2, first_day=102, days=1))
    between = (101 * 24 * HOUR_US, 102 * 24 * HOUR_US)
    sketch = sketch_examples(str(tmp_path), ["train", "test"], DATASET, between_us=between)
    assert sketch.days == [101]
    assert 100 < int(sketch.requests.sum()) < 300
    price = sketch.columns["price"]
    assert isinstance(price, NumberSketch)
    assert int(price.counts.sum()) == L * int(sketch.requests.sum())


def test_without_a_reference_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    new = ingested(tmp_path / "new", test=examples(50, seed=5, first_day=111, days=1))
    report, page = artifact(File, tmp_path / "report"), artifact(File, tmp_path / "page")
    baseline = champion(tmp_path / "model", "baseline")
    DriftCheck.test_call(examples=new, champion=baseline, dataset=TEXT, code="c", report=report, page=page)
    assert "baseline has no reference" in (tmp_path / "page" / "drift.html").read_text()
    assert read_decision(str(tmp_path / "report")) is None
    DriftGate.test_call(report=report, dataset=TEXT)
