"""The component's executor, given real artifacts."""

import json
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow_model_analysis.proto import metrics_for_slice_pb2
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import channel_utils, standard_artifacts
from tfx.types.experimental.simple_artifacts import Dataset, File

from components.contract.errors import InputError
from components.contract.storage.object_store import Address
from components.evaluation.metrics.metric_accumulator import METRICS
from components.rehearsal.report import Rehearsal
from components.release.component import Executor, Release
from components.release.labels import read_labels
from components.release.manifest import Manifest, read_manifest
from components.release.outcomes import record_outcome, recorded_outcome
from components.release.publish import versions
from components.release.run_outcome import RunOutcome, read_outcome

DATASET = """
name: shop
events: {path: e.csv, columns: {time: time, user: user, item: item, action: action, request: request}}
actions: {impression: {}, click: {label: 1}}
candidates: {from: impressions}
features:
  - {name: item, kind: id, side: item}
gates: {floor: {auc: 0.6}, drop: {}, slice_drop: {}}
"""


def publish(
    tmp_path: Path, *, blessed: bool, rehearsed: bool = True, store: str | None = None, state: Dataset | None = None, run_id: str = ""
) -> standard_artifacts.PushedModel:
    rehearsal, blessing, evaluation, report, pushed = (
        standard_artifacts.InfraBlessing(),
        standard_artifacts.ModelBlessing(),
        standard_artifacts.ModelEvaluation(),
        File(),
        standard_artifacts.PushedModel(),
    )
    for name, artifact in {
        "rehearsal": rehearsal,
        "blessing": blessing,
        "evaluation": evaluation,
        "report": report,
        "pushed": pushed,
    }.items():
        artifact.uri = str(tmp_path / name)
        Path(artifact.uri).mkdir(exist_ok=True)
    serving = tmp_path / "rehearsal" / "stamped_model"
    serving.mkdir(exist_ok=True)
    (serving / "saved_model.pb").write_text("graph")
    blessing.set_int_custom_property("blessed", int(blessed))
    found = Rehearsal(200, (10, 20), 50.0, "", 0, 1.5e-7, "", 2.0, 4.0 if rehearsed else 60.0)
    (tmp_path / "rehearsal" / "rehearsal.json").write_text(found.to_json())
    rehearsal.set_int_custom_property("blessed", int(found.passed))
    rehearsal.set_int_custom_property("has_model", 1)
    _write_metrics(tmp_path / "evaluation" / "metrics-00000-of-00001.tfrecord")
    (tmp_path / "report" / "report.json").write_text(json.dumps({"window": {"first event": "2026-01-01T00:00:00+00:00"}}))
    node = Release(
        channel_utils.as_channel([blessing]),
        channel_utils.as_channel([rehearsal]),
        evaluation=channel_utils.as_channel([evaluation]),
        ingestion=channel_utils.as_channel([report]),
        dataset=DATASET,
        code="0.1.0+abc",
        push_destination=store or str(tmp_path),
        state=None if state is None else channel_utils.as_channel([state]),
    )
    inputs = {"model_blessing": [blessing], "infra_blessing": [rehearsal], "evaluation": [evaluation], "ingestion": [report]}
    if state is not None:
        inputs["state"] = [state]
    assert node.exec_properties["run_id"] == ""
    Executor().Do(inputs, {"pushed_model": [pushed]}, node.exec_properties | {"run_id": run_id})
    return pushed


def _write_metrics(path: Path) -> None:
    overall = metrics_for_slice_pb2.MetricsForSlice()
    for model, auc in (("challenger", 0.75), ("champion", 0.5)):
        for name in METRICS:
            entry = overall.metric_keys_and_values.add()
            entry.key.name, entry.key.model_name = name, model
            entry.value.double_value.value = {"auc": auc, "mrr": float("nan"), "invalid_scores": 0.0}.get(name, 1.0)
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(overall.SerializeToString())


def test_a_blessed_model_is_released_and_the_artifact_says_where(tmp_path: Path) -> None:
    pushed = publish(tmp_path, blessed=True)
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_string_custom_property("pushed_version") == "1"
    assert pushed.get_string_custom_property("pushed_destination") == str(tmp_path / "releases" / "1")
    assert (tmp_path / "releases" / "1" / "saved_model.pb").read_text() == "graph"


def test_the_manifest_tells_data_metrics_verdict_and_code(tmp_path: Path) -> None:
    pushed = publish(tmp_path, blessed=True)
    manifest = read_manifest(tmp_path / "releases" / "1")
    assert manifest == read_manifest(pushed.uri)
    assert isinstance(manifest, Manifest)
    assert (manifest.dataset, manifest.code, manifest.parent) == ("shop", "0.1.0+abc", None)
    assert manifest.data_window == {"first event": "2026-01-01T00:00:00+00:00"}
    assert (manifest.metrics["auc"], manifest.metrics["mrr"]) == (0.75, None)
    assert manifest.verdict == (
        "Passed: AUC 0.750 is at least 0.600.",
        "Passed: served scores of 200 recorded requests are the offline ones (greatest difference 1.5e-07, limit 1e-06).",
        "Passed: served requests took 2.0 ms (p50), 4.0 ms (p99), within 50 ms.",
    )
    assert manifest.rehearsal is not None
    assert (manifest.rehearsal["requests"], manifest.rehearsal["p99_ms"]) == (200, 4.0)
    assert manifest.input_columns == ("item",)


def test_a_model_without_blessing_is_not_released(tmp_path: Path) -> None:
    pushed = publish(tmp_path, blessed=False)
    assert pushed.get_int_custom_property("pushed") == 0
    assert versions(tmp_path / "releases") == ()


def test_a_model_that_the_rehearsal_refused_is_not_released(tmp_path: Path) -> None:
    pushed = publish(tmp_path, blessed=True, rehearsed=False)
    assert pushed.get_int_custom_property("pushed") == 0
    assert versions(tmp_path / "releases") == ()


def test_the_artifact_says_what_became_of_the_model_in_the_sentences_that_refused_it(tmp_path: Path) -> None:
    refused = publish(tmp_path, blessed=True, rehearsed=False)
    told = read_outcome(refused.get_string_custom_property("outcome"))
    assert told is not None
    assert (told.released, told.version) == (False, None)
    assert len(told.refusals) == 1
    assert "60.0 ms" in told.refusals[0]
    released = publish(tmp_path, blessed=True)
    assert read_outcome(released.get_string_custom_property("outcome")) == RunOutcome(True, 1)


def test_on_a_cluster_the_store_records_each_runs_outcome_and_on_one_machine_none(tmp_path: Path, store: str) -> None:
    publish(tmp_path, blessed=True, rehearsed=False, store=store, run_id="run-a")
    publish(tmp_path, blessed=True, store=store, run_id="run-b")
    publish(tmp_path, blessed=True, store=store, run_id="run-b")  # tried again
    publish(tmp_path, blessed=True, store=store)
    kept = Address.parse(store)
    assert sorted((kept / "outcomes").files()) == ["run-a.json", "run-b.json"]
    refused, released = (recorded_outcome(kept, name) for name in ("run-a", "run-b"))
    assert refused is not None
    assert not refused.released
    assert "60.0 ms" in refused.refusals[0]
    assert released == RunOutcome(True, 1)
    assert recorded_outcome(kept, "run-c") is None
    assert versions(kept / "releases") == (1,)


@pytest.mark.parametrize("run_id", ["", "../releases/1/manifest", "a/b", ".hidden"])
def test_a_run_id_is_no_path(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(InputError, match="expected a run's id"):
        record_outcome(Address.parse(tmp_path), run_id, RunOutcome(True, 1))


@pytest.mark.parametrize("content", ["", "[]", '{"version": 3}', "released"])
def test_a_record_that_isnt_one_tells_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "outcomes").mkdir()
    (tmp_path / "outcomes" / "run-a.json").write_text(content)
    assert recorded_outcome(Address.parse(tmp_path), "run-a") is None


def test_publishing_again_after_a_kill_gives_the_same_version(tmp_path: Path) -> None:
    publish(tmp_path, blessed=True)
    pushed = publish(tmp_path, blessed=True)
    assert pushed.get_string_custom_property("pushed_version") == "1"
    assert versions(tmp_path / "releases") == (1,)


def test_into_any_store_with_what_the_service_needs_and_the_first_one_is_stable(tmp_path: Path, store: str) -> None:
    state = Dataset()
    state.uri = str(tmp_path / "state")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "index.parquet").write_text("index")
    pushed = publish(tmp_path, blessed=True, store=store, state=state)
    assert pushed.get_string_custom_property("pushed_destination") == f"{store}/releases/1"
    assert read_manifest(f"{store}/releases/1") == read_manifest(pushed.uri)
    assert (Address.parse(store) / "serving/1/dataset.yaml").read() == DATASET.encode()
    assert (Address.parse(store) / "serving/1/state/index.parquet").read() == b"index"
    labels = read_labels(f"{store}/releases")
    assert labels is not None
    assert labels.now == {"stable": 1}


def test_a_release_alone_brings_no_state_and_no_label(tmp_path: Path) -> None:
    publish(tmp_path, blessed=True)
    assert sorted(path.name for path in (tmp_path / "releases").iterdir()) == ["1"]
    assert not (tmp_path / "serving").exists()


def test_the_destination_can_be_chosen_when_a_run_starts(tmp_path: Path) -> None:
    types = (standard_artifacts.ModelBlessing, standard_artifacts.InfraBlessing, standard_artifacts.ModelEvaluation, File)
    blessing, rehearsal, evaluation, report = (channel_utils.as_channel([kind()]) for kind in types)
    chosen = RuntimeParameter(name="push_destination", ptype=str, default="gs://bucket/shop")
    node = Release(blessing, rehearsal, evaluation=evaluation, ingestion=report, dataset=DATASET, code="c", push_destination=chosen)
    assert node.exec_properties["push_destination"] is chosen
