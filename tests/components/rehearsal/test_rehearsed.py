"""Models, good and bad on purpose, in a model server."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc, prediction_log_pb2, prediction_service_pb2_grpc
from tfx.types.experimental.simple_artifacts import File
from tfx.types.standard_artifacts import Examples, InfraBlessing, Model

from components.champion.baseline import export_baseline
from components.contract.errors import InputError, RunError
from components.contract.load import parse_dataset
from components.drift.sketch.sketch_file import FILE, write_sketch
from components.drift.sketch.window_sketch import WindowSketch
from components.rehearsal.component import ServingRehearsal, rehearsed
from components.rehearsal.remote_server import FOLDER, SERVER, RemoteServer, served_by
from components.rehearsal.report import Rehearsal
from components.rehearsal.sampled_requests import read_requests, tensors
from components.rehearsal.warmup import predict_request, warmup_requests, write_warmup
from serving.model_server.config import ServerConfig
from serving.model_server.server import ModelServer
from tests.components.rehearsal.shops import SHOP, example, export_by_price, shop

REQUESTS = [example("a", [1.0, 2.0, 3.0]), example("b", [7.0], events=0), example("c", [5.0, -5.0, 30.0, -40.0], events=3)]


def sentences(found: Rehearsal) -> list[str]:
    return [finding.sentence for finding in found.findings]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_by_price(tmp_path_factory.mktemp("good") / "model", shop())


@pytest.fixture
def model(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "model"))


def test_a_model_that_serves_what_it_was_judged_by_passes(model: Path) -> None:
    found = rehearsed(model, REQUESTS, shop())
    assert found.passed
    assert (found.requests, found.lengths, found.differing) == (3, (2, 4), 0)
    assert found.difference is not None
    assert found.difference <= 1e-6


def test_its_warm_up_has_a_full_recorded_request_for_each_length_and_is_the_same_each_time(model: Path) -> None:
    rehearsed(model, REQUESTS, shop())
    file = model / "assets.extra" / "tf_serving_warmup_requests"
    first = file.read_bytes()
    asked = [
        prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    ]
    assert [tf.make_ndarray(each.inputs["price"]).tolist() for each in asked] == [[[1.0, 2.0]], [[5.0, -5.0, 30.0, -40.0]]]
    assert [tf.make_ndarray(each.inputs["n_candidates"]).tolist() for each in asked] == [[2], [4]]
    assert {(each.model_spec.name, each.model_spec.signature_name) for each in asked} == {("shop", "serving_default")}
    rehearsed(model, REQUESTS, shop())
    assert file.read_bytes() == first


def test_a_model_with_reasons_is_asked_for_them_once_with_the_shortest_list(tmp_path: Path) -> None:
    requests = warmup_requests(read_requests(REQUESTS, shop()), (2, 4), shop())
    file = write_warmup(requests, tmp_path, shop(), name="shop", signatures={"serving_default", "explain"})
    asked = [
        prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    ]
    assert [each.model_spec.signature_name for each in asked] == ["serving_default", "serving_default", "explain"]
    assert tf.make_ndarray(asked[2].inputs["n_candidates"]).tolist() == [2]


def test_its_batching_file_is_one_that_a_server_starts_with(model: Path) -> None:
    rehearsed(model, REQUESTS, shop())
    (model.parent / "1").symlink_to(model)
    batching = model / "assets.extra" / "batching_parameters.txt"
    with ModelServer(ServerConfig(model_base_path=str(model.parent), rest_port=None, batching=True, batching_file=batching)) as server:
        assert server.grpc_port


def test_a_model_whose_served_scores_differ_is_refused_with_the_first_difference(tmp_path: Path) -> None:
    # The rule by shown order reads a position at one door that no request at the other has.
    assert export_baseline(shop(), str(tmp_path / "model")) == "shown order"
    found = rehearsed(tmp_path / "model", REQUESTS, shop())
    assert not found.passed
    assert sentences(found)[0] == (
        "Refused: served scores of 2 of 3 recorded requests differ from the offline ones, by up to 3.0e-01 (limit 1e-06); "
        "in request 'a' candidate 1 has scores 0.25 offline and 0.5 served."
    )


def test_a_slow_model_is_refused_with_its_time_and_the_budget(tmp_path: Path) -> None:
    quick = shop("{list_lengths: [2, 4], latency_ms: 3}")
    export_by_price(tmp_path / "model", quick, work=30)
    found = rehearsed(tmp_path / "model", REQUESTS, quick)
    parity, latency = found.findings
    assert (parity.passed, latency.passed) == (True, False)
    assert latency.text.endswith("ms (p99), above 3 ms.")
    assert found.p50_ms is not None
    assert found.p50_ms > 3


def test_a_model_that_does_not_answer_is_refused_with_the_servers_words(tmp_path: Path, model: Path) -> None:
    other = parse_dataset(SHOP.replace("  - {name: history,", "  # {name: history,"))  # asked without a history
    found = rehearsed(model, REQUESTS, other)
    assert not found.passed
    (sentence,) = sentences(found)
    assert sentence.startswith("Refused: the model server couldn't serve the model: ")
    assert "history_item" in sentence


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[RemoteServer]:
    """A model server that runs already, and has no model."""
    (tmp_path / "models.config").write_text("model_config_list {}")
    config = ServerConfig(model_config_file=tmp_path / "models.config", rest_port=None, retries=0)
    with ModelServer(config) as server:
        yield RemoteServer(f"127.0.0.1:{server.grpc_port}", tmp_path)


def test_a_server_that_runs_already_is_rehearsed_with_and_has_no_model_afterwards(model: Path, elsewhere: RemoteServer) -> None:
    for _ in range(2):
        found = rehearsed(model, REQUESTS, shop(), where=elsewhere)
        assert (found.passed, found.requests, found.differing) == (True, 3, 0)
    assert elsewhere.folder is not None
    assert sorted(path.name for path in elsewhere.folder.iterdir()) == ["model", "models.config"]
    asked = predict_request(tensors(read_requests(REQUESTS, shop())[0], 4, shop()), model="shop")
    with grpc.insecure_channel(elsewhere.address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError, match="NOT_FOUND"):
            stub.Predict(asked, timeout=30)


@pytest.mark.parametrize("name", ["shop", "another shop's"])
def test_a_server_that_serves_anything_is_refused_and_left_as_it_was(
    model: Path, elsewhere: RemoteServer, tmp_path: Path, name: str
) -> None:
    shutil.copytree(model, tmp_path / "shoppers" / "1")
    reload = model_management_pb2.ReloadConfigRequest()
    entry = reload.config.model_config_list.config.add(name=name, base_path=str(tmp_path / "shoppers"), model_platform="tensorflow")
    asked = predict_request(tensors(read_requests(REQUESTS, shop())[0], 4, shop()), model=name)
    asked.model_spec.version_label = "stable"
    with grpc.insecure_channel(elsewhere.address) as channel:
        service = model_service_pb2_grpc.ModelServiceStub(channel)
        service.HandleReloadConfigRequest(reload, timeout=30)
        entry.version_labels["stable"] = 1
        service.HandleReloadConfigRequest(reload, timeout=30)
        with pytest.raises(InputError, match=rf"expected a model server for rehearsals at .*; it serves .*{name}"):
            rehearsed(model, REQUESTS, shop(), where=elsewhere)
        assert prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(asked, timeout=30).model_spec.version.value == 1


def test_a_model_that_a_server_elsewhere_cannot_load_is_refused_with_its_words(model: Path, elsewhere: RemoteServer) -> None:
    (model / "saved_model.pb").write_bytes(b"no model")
    with pytest.raises(RunError, match=r"model server at .*shop"), served_by(elsewhere, model, model="shop"):
        pass


def test_the_environment_names_the_server_and_its_folder(tmp_path: Path) -> None:
    assert RemoteServer.from_environment({}) is None
    assert RemoteServer.from_environment({SERVER: "tf:8500", FOLDER: str(tmp_path)}) == RemoteServer("tf:8500", tmp_path)
    with pytest.raises(InputError, match="expected a folder that the model server sees too"):
        RemoteServer.from_environment({SERVER: "tf:8500", FOLDER: str(tmp_path / "none")})


def test_a_server_that_is_not_there_refuses_the_model(model: Path, tmp_path: Path) -> None:
    found = rehearsed(model, REQUESTS, shop(), where=RemoteServer("127.0.0.1:1", tmp_path))
    assert sentences(found)[0].startswith(
        "Refused: the model server couldn't serve the model: the model server at 127.0.0.1:1: UNAVAILABLE"
    )


def test_the_component_blesses_and_hands_on_the_model_with_its_files(model: Path, tmp_path: Path) -> None:
    blessing, found = run_component(model, tmp_path, SHOP)
    assert (blessing.get_int_custom_property("blessed"), blessing.get_int_custom_property("has_model")) == (1, 1)
    handed = tmp_path / "blessing" / "stamped_model"
    assert found.passed
    files = ("saved_model.pb", "assets.extra/batching_parameters.txt", "assets.extra/tf_serving_warmup_requests", FILE)
    assert [name for name in files if not (handed / name).exists()] == []


def test_the_component_blesses_no_model_that_is_refused(model: Path, tmp_path: Path) -> None:
    blessing, found = run_component(model, tmp_path, f"{SHOP}serving: {{latency_ms: 1.0e-6}}\n")
    assert blessing.get_int_custom_property("blessed") == 0
    assert not found.passed


def run_component(model: Path, tmp_path: Path, dataset: str) -> tuple[InfraBlessing, Rehearsal]:
    examples, exported, reference, blessing = Examples(), Model(), File(), InfraBlessing()
    for artifact, name in ((examples, "examples"), (exported, "exported"), (reference, "reference"), (blessing, "blessing")):
        artifact.uri = str(tmp_path / name)
        Path(artifact.uri).mkdir()
    shutil.copytree(model, tmp_path / "exported" / "Format-Serving")
    (tmp_path / "examples" / "Split-test").mkdir()
    write_sketch(WindowSketch(), tmp_path / "reference" / FILE)
    with tf.io.TFRecordWriter(str(tmp_path / "examples" / "Split-test" / "part")) as writer:
        for record in REQUESTS:
            writer.write(record)
    ServingRehearsal.test_call(examples=examples, model=exported, reference=reference, dataset=dataset, code="c", blessing=blessing)
    return blessing, Rehearsal.from_json(json.loads((tmp_path / "blessing" / "rehearsal.json").read_text()))
