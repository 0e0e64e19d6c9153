"""A finished run is read back as it was written, and so is one from before features had an importance."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from components.contract.errors import RunError
from components.evaluation.importance.feature_importance import Drop, FeatureDrops, Importance
from components.evaluation.report.html_report import Epoch, RankedCandidate, RankedRequest
from components.rehearsal.report import Rehearsal
from pipeline.results.result import RunResult, StepTime, read_result, write_result

DATASET = """
name: shop
events: {path: e.csv, columns: {time: time, user: user, item: item, action: action, request: request}}
actions: {impression: {}, click: {label: 1}}
candidates: {from: impressions}
features: [{name: item, kind: id, side: item}]
"""
RESULT = RunResult(
    dataset="name: shop",
    made_at="2026-01-02T03:04:05+00:00",
    champion="baseline",
    release=None,
    metrics=(),
    ingestion={"counts": {"rows read": 3}},
    training=(Epoch(0.5, 0.7),),
    example=RankedRequest("r1 of a guest", (RankedCandidate("i1", "Shoe", 0.9, 1.0),)),
    places={"model": "m"},
    steps=(StepTime("Trainer", "done", 1.5),),
    importance=Importance(10, 50, 2, (FeatureDrops("price", {"auc": Drop(0.1, 0.01), "ndcg_at_10": Drop(None, None)}),)),
    rehearsal=Rehearsal(200, (10, 20), 50.0, "", 0, 1.5e-7, "", 2.0, 60.0),
)


def test_a_result_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    result = replace(RESULT, places={"model": str(tmp_path / "artifacts" / "model")})
    write_result(result, tmp_path / "last_run.json")
    assert read_result(tmp_path / "last_run.json") == result


def test_the_places_of_a_folder_that_was_moved_are_where_it_is_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_result(replace(RESULT, places={"model": str(tmp_path / "one" / "artifacts" / "model")}), tmp_path / "one" / "last_run.json")
    (tmp_path / "one").rename(tmp_path / "other")
    monkeypatch.chdir(tmp_path)
    assert read_result(Path("other", "last_run.json")).places == {"model": str(tmp_path / "other" / "artifacts" / "model")}


def test_a_model_that_the_rehearsal_refuses_is_refused_with_its_sentence() -> None:
    verdict = replace(RESULT, dataset=DATASET).verdict
    assert not verdict.passed
    assert "Refused: served requests took 2.0 ms (p50), 60.0 ms (p99), above 50 ms." in verdict.sentences


def test_a_result_from_before_there_was_an_importance_has_none(tmp_path: Path) -> None:
    document = json.loads(RESULT.to_json())
    del document["importance"]
    (tmp_path / "last_run.json").write_text(json.dumps(document))
    assert read_result(tmp_path / "last_run.json").importance is None


def test_where_no_run_ended_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="start one with `shelfrank run`"):
        read_result(tmp_path / "last_run.json")
