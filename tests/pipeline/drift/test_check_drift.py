"""The command: a window of the log against a release's reference, with the decision as its exit code."""

import json
import math
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.contract.storage.store_layout import MANIFEST
from components.drift.decision import Action, Decision
from components.drift.sketch.sketch_file import FILE, write_sketch
from pipeline.cli.main import main
from pipeline.drift.read_log import LogSpan, read_log
from pipeline.retrain.cycle import Cycle, Event, Outcome
from pipeline.retrain.lease import held_lease
from pipeline.retrain.ledger import Ledger, decided
from serving.exposure.event_types import Exposure, Interaction
from tests.pipeline.drift.shop_log import DATASET, HOUR_US, SHOP, START_US, click, exposure, features, written

DAY_MINUTES = 24 * 60
REFERENCE_DAYS, DAYS, A_DAY = 7, 9, 200

Run = Callable[..., tuple[int, dict[str, Any]]]


def served(minute: int, rng: np.random.Generator, *, broken: bool) -> Exposure:
    """A request with a price and a score for each candidate; broken: its price is 0."""
    price = rng.lognormal(3, 1, (1, 6)).astype(np.float32)
    sent = features(minute) | {"price": np.zeros_like(price) if broken else price, "n_history": np.array([minute % 3], np.int64)}
    return exposure(minute, shopper=f"u{rng.integers(150)}", scores=rng.uniform(0.05, 0.2, 4).tolist(), features=sent)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two logs of nine days, whose last two days differ: one is clean, in the other prices are broken; and a release of the first seven."""
    work = tmp_path_factory.mktemp("drift")
    (work / "shop.yaml").write_text(SHOP)
    for name in ("clean", "broken"):
        rng = np.random.default_rng(5)
        minutes = sorted(rng.choice(DAYS * DAY_MINUTES, DAYS * A_DAY, replace=False).tolist())
        lists = [served(minute, rng, broken=name == "broken" and minute >= REFERENCE_DAYS * DAY_MINUTES) for minute in minutes]
        clicks: list[Interaction] = [click(minute, str(rng.choice(["d", "a"])), rng.uniform(1, 60)) for minute in minutes[::3]]
        written(work / name, lists, clicks)
    span = LogSpan(START_US, START_US, START_US + REFERENCE_DAYS * 24 * HOUR_US)
    reference = read_log(work / "clean", DATASET, span, version=7, say=lambda _: None).window.sketch
    release = work / "releases" / "1"
    write_sketch(reference, release / FILE)
    (release / MANIFEST).write_text("{}")
    return work


@pytest.fixture
def drift(work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(work)

    def run(log: str, *options: str) -> tuple[int, dict[str, Any]]:
        code = main(["drift", "shop.yaml", "--log", log, "--releases", "releases", "--json", *options])
        out = capsys.readouterr().out
        return code, json.loads(out) if out else {}

    return run


def test_a_clean_window_is_nothing_to_do_about(drift: Run) -> None:
    code, report = drift("clean")
    assert (code, report["decision"]) == (0, {"action": "nothing", "reasons": []})
    assert (report["release"], report["enough"]) == ("release 1", True)
    assert report["window"]["start"] == "2026-01-08T00:00:00+00:00"  # where the release's window ended
    assert report["counts"]["requests"] == report["window"]["requests"] > 300


def test_a_broken_feature_is_named_and_freezes(drift: Run) -> None:
    code, report = drift("broken")
    assert code == 12
    assert [(reason["kind"], reason["subject"]) for reason in report["decision"]["reasons"]] == [("broken feature", "price")]


def test_the_page_and_the_metrics_are_written_too(drift: Run, work: Path) -> None:
    drift("broken", "--html", "page/drift.html", "--metrics", "metrics/drift.prom")
    assert "Freeze: train on none of this" in (work / "page" / "drift.html").read_text()
    assert 'shelfrank_drift_decision{dataset="shop",decision="freeze"} 1.0' in (work / "metrics" / "drift.prom").read_text()


def test_a_window_of_its_own_leaves_the_days_before_it_as_the_reference_of_scores_and_quality(drift: Run) -> None:
    code, report = drift("clean", "--from", "2026-01-09", "--release", "1")
    assert code == 0
    assert report["window"]["start"] == "2026-01-09T00:00:00+00:00"
    assert report["quality"] == []  # the log's scores are release 7's


def test_without_a_window_of_its_own_the_last_days_are_judged_together(drift: Run, work: Path) -> None:
    shop = work / "shop.yaml"
    shop.write_text(SHOP + "drift: {horizons: [1, 2, 5]}\n")
    try:
        code, report = drift("broken", "--until", "2026-01-10")
    finally:
        shop.write_text(SHOP)
    assert [(each["start"][:10], each["action"]) for each in report["windows"]] == [("2026-01-09", "nothing"), ("2026-01-08", "freeze")]
    assert [each["enough"] for each in report["windows"]] == [False, True]  # a day has 200 requests
    assert (code, report["false_discovery_rate"]) == (12, 0.025)
    assert report["decision"]["reasons"][0]["text"].endswith("; since 2026-01-08 00:00 UTC.")


def test_a_last_day_without_requests_is_judged_in_the_longer_windows(drift: Run) -> None:
    _, report = drift("broken", "--until", "2026-01-11")
    assert [each["requests"] for each in report["windows"]] == [0, report["counts"]["requests"]]
    assert [each["enough"] for each in report["windows"]] == [False, True]
    assert ("broken feature", "price") in [(reason["kind"], reason["subject"]) for reason in report["decision"]["reasons"]]


def test_days_before_a_freeze_was_lifted_arent_looked_at_again(drift: Run, work: Path) -> None:
    with held_lease(work / "retrain") as lease:
        ledger = Ledger(work / "retrain", lease)
        now, freeze = datetime(2026, 1, 8, 12, tzinfo=UTC), Decision(action=Action.FREEZE, reasons=())
        cycle = Cycle(number=1, began=now, triggers={"drift": "k"}, decision=freeze, data_until="", parent=1)
        ledger.append(Event.DECIDED, 1, now=now, **decided(cycle))
        ledger.append(Event.ENDED, 1, now=now, outcome=Outcome.FROZEN, reason="")
        assert drift("broken")[1]["windows"][-1]["start"] == "2026-01-08T00:00:00+00:00"
        ledger.append(Event.LIFTED, 1, now=now + timedelta(hours=6), reason="the feed is mended")
    try:
        assert drift("broken")[1]["windows"][-1]["start"] == "2026-01-08T18:00:00+00:00"
        assert drift("broken", "--from", "2026-01-08")[1]["window"]["start"] == "2026-01-08T00:00:00+00:00"
    finally:
        shutil.rmtree(work / "retrain")


def test_without_a_release_or_its_reference_the_error_says_what_to_do(drift: Run, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert drift("clean", "--releases", "nothing")[0] == 2
    assert drift("clean", "--release", "4")[0] == 2
    (work / "releases" / "2").mkdir()
    (work / "releases" / "2" / MANIFEST).write_text("{}")
    try:
        assert main(["drift", "shop.yaml", "--log", "clean", "--releases", "releases"]) == 2
        assert f"release 2 has no {FILE}: it was made before releases had one" in capsys.readouterr().err
    finally:
        (work / "releases" / "2" / MANIFEST).unlink()
        (work / "releases" / "2").rmdir()


def ingested(folder: Path, *, price: float) -> str:
    """Examples of the broken log's requests, as the service sent them, but for the price of the candidate d."""
    decisions = [json.loads(line) for file in (folder.parent / "broken").glob("decisions-*") for line in file.read_text().splitlines()]
    (folder / "Split-train").mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / "Split-train" / "part")) as writer:
        for row in decisions:
            sent, events = row["features"], row["features"]["n_history"][0]
            prices = [math.nan if value is None else value for value in sent["price"][0][:4]]
            writer.write(
                example(
                    request=[row["request"]],
                    item=row["items"][::-1],
                    page=sent["page"],
                    price=[price, *prices[2::-1]],
                    tags=sent["tags"][0][3::-1],
                    look=[each for vector in sent["look"][0][3::-1] for each in vector],
                    history_item=sent["history_item"][0][:events],
                    history_age_s=sent["history_age_s"][0][:events],
                )
            )
    return str(folder)


def example(**columns: list[Any]) -> bytes:
    features = {
        name: tf.train.Feature(float_list=tf.train.FloatList(value=values))
        if name in ("price", "look", "history_age_s")
        else tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode() for value in values]))
        for name, values in columns.items()
    }
    serialized: bytes = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    return serialized


def test_features_that_ingestion_computes_otherwise_are_skew(drift: Run, work: Path) -> None:
    code, report = drift("broken", "--examples", ingested(work / "same", price=0.0))
    assert report["counts"]["requests compared with ingestion's value by value"] == report["window"]["requests"]
    assert {reason["kind"] for reason in report["decision"]["reasons"]} == {"broken feature"}
    code, report = drift("broken", "--examples", ingested(work / "other", price=7.5))
    assert code == 12
    skewed = [reason for reason in report["decision"]["reasons"] if reason["kind"] == "training/serving skew"]
    assert [reason["subject"] for reason in skewed] == ["price"]
    assert "item 'd': sent 0, ingestion computes 7.5" in skewed[0]["text"]


def test_a_window_that_makes_no_sense_is_refused(drift: Run) -> None:
    assert drift("clean", "--from", "yesterday")[0] == 2
    assert drift("clean", "--from", "2026-01-09", "--until", "2026-01-08")[0] == 2
    assert drift("clean", "--from", "2026-03-01")[0] == 2
