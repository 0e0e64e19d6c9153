"""The command that moves labels, on the files alone and against a live server."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2, predict_pb2
from tensorflow_serving.apis import model_service_pb2_grpc as model_service
from tensorflow_serving.apis import prediction_service_pb2_grpc as prediction_service

from components.contract.errors import RunError
from components.contract.storage.labels import MODELS_HEADER
from components.release.labels import read_labels
from components.release.manifest import Manifest
from components.release.publish import publish
from pipeline.cli.main import main
from serving.mirror import move_labels
from serving.mirror.move_labels import replicas
from serving.model_server.config import ServerConfig
from serving.model_server.server import ModelServer


def facts(version: int) -> Manifest:
    return Manifest(version, "shop", "", {}, {"auc": version / 10, "ndcg_at_10": None}, (), ("x",), "c")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model for each of three versions, which adds its number."""
    folder = tmp_path_factory.mktemp("made")
    for version in (1, 2, 3):
        module = tf.Module()

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")], autograph=False)
        def added(x: tf.Tensor, version: int = version) -> dict[str, tf.Tensor]:
            return {"y": x + float(version)}

        tf.saved_model.save(module, str(folder / str(version)), signatures={"serving_default": added})
    return folder


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """The folder of a run with three releases."""
    for version in (1, 2, 3):
        publish(made / str(version), tmp_path / "run" / "releases", facts(version))
    return tmp_path / "run"


def releases(*arguments: object) -> int:
    return main(["releases", *map(str, arguments)])


def test_the_list_shows_each_release_with_its_metrics_and_labels(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert releases("promote", 2, "--label", "stable", "--root", root) == 0
    assert releases("promote", 2, "--label", "canary", "--root", root) == 0
    capsys.readouterr()
    assert releases("list", "--root", root, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["version"], row["parent"], row["metrics"]["auc"], row["labels"]) for row in rows] == [
        (3, 2, 0.3, []),
        (2, 1, 0.2, ["canary", "stable"]),
        (1, None, 0.1, []),
    ]
    assert rows[0]["made"] == "1970-01-01T00:00:00+00:00"
    assert releases("list", "--root", root) == 0
    table = capsys.readouterr().out
    assert "0.2000" in table
    assert "canary, stable" in table


def test_without_a_release_the_list_says_what_makes_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert releases("list", "--root", tmp_path) == 0
    assert "no release yet; a `shelfrank run` makes one" in capsys.readouterr().out
    assert releases("rollback", "--root", tmp_path) == 2
    assert "expected releases, there is none" in capsys.readouterr().err


def test_a_label_moves_and_moves_back_and_tells_so(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for version in (1, 3):
        assert releases("promote", version, "--label", "stable", "--root", root, "--json") == 0
    assert json.loads(capsys.readouterr().out.split("}\n{")[-1].join(["{", ""])) == {
        "label": "stable",
        "version": 3,
        "labels": {"previous": 1, "stable": 3},
        "served": [1, 3],
    }
    assert releases("rollback", "--root", root) == 0
    assert "stable is release 1" in capsys.readouterr().out
    assert releases("rollback", "--root", root) == 2
    assert "only version 1 ever carried it" in capsys.readouterr().err


def test_an_unknown_version_is_bad_input_that_names_those_there_are(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert releases("promote", 7, "--label", "stable", "--root", root) == 2
    assert "expected one of the releases 1, 2, 3, got 7" in capsys.readouterr().err
    assert read_labels(root / "releases") is None


def test_a_label_that_points_to_a_release_that_was_taken_away_must_move_first(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert releases("promote", 1, "--label", "canary", "--root", root) == 0
    (root / "releases" / "1").rename(root / "away")
    assert releases("promote", 2, "--label", "stable", "--root", root) == 2
    assert "a label points to release 1, which isn't there" in capsys.readouterr().err
    assert releases("promote", 2, "--label", "canary", "--root", root) == 0
    assert releases("rollback", "--label", "canary", "--root", root) == 2


def test_the_servers_view_of_the_folder_and_the_name_are_kept(root: Path) -> None:
    options = ("--model", "front", "--base-path", "/models/front")
    assert releases("promote", 1, "--label", "stable", "--root", root, *options) == 0
    assert releases("promote", 2, "--label", "stable", "--root", root) == 0
    recorded = read_labels(root / "releases")
    assert recorded is not None
    assert (recorded.model, recorded.base_path) == ("front", "/models/front")


@contextmanager
def serving(root: Path, *, model: str = "shop") -> Iterator[ModelServer]:
    """A server of the newest release, without labels, as one that was just set up."""
    config = ServerConfig(model_name=model, model_base_path=str(root / "releases"), rest_port=None, poll_s=0.05, retries=0)
    with ModelServer(config) as server:
        yield server


def y(channel: grpc.Channel, label: str) -> float:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.version_label = "shop", label
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([0.0]))
    answer = prediction_service.PredictionServiceStub(channel).Predict(request, timeout=10)
    return float(tf.make_ndarray(answer.outputs["y"])[0])


def available(channel: grpc.Channel) -> set[int]:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "shop"
    statuses = model_service.ModelServiceStub(channel).GetModelStatus(request, timeout=10).model_version_status
    return {each.version for each in statuses if each.state == get_model_status_pb2.ModelVersionStatus.AVAILABLE}


def test_promotions_and_rollbacks_on_a_live_server_fail_no_request(root: Path, until: Callable[[Callable[[], bool]], None]) -> None:
    with serving(root) as server, grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        on = ("--root", root, "--server", f"127.0.0.1:{server.grpc_port}")
        assert releases("promote", 1, "--label", "stable", *on) == 0
        assert y(channel, "stable") == 1.0
        answers: list[float] = []
        failed: list[grpc.RpcError] = []
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                try:
                    answers.append(y(channel, "stable"))
                except grpc.RpcError as error:
                    failed.append(error)

        clients = [threading.Thread(target=ask) for _ in range(2)]
        for client in clients:
            client.start()
        for _ in range(3):
            for moved, version in ((("promote", 3, "--label", "stable"), 3.0), (("promote", 2, "--label", "stable"), 2.0)):
                assert releases(*moved, *on) == 0
                assert y(channel, "stable") == version
            for version in (3.0, 1.0):
                assert releases("rollback", *on) == 0
                assert y(channel, "stable") == version
        done.set()
        for client in clients:
            client.join()
        assert failed == []
        assert len(answers) > 20
        assert set(answers) == {1.0, 2.0, 3.0}
        until(lambda: available(channel) == {1})


def test_a_canary_is_served_beside_the_stable_version_and_a_rollback_keeps_it(root: Path) -> None:
    with serving(root) as server, grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        on = ("--root", root, "--server", f"127.0.0.1:{server.grpc_port}")
        for version, label in ((1, "stable"), (2, "stable"), (3, "canary")):
            assert releases("promote", version, "--label", label, *on) == 0
        assert (y(channel, "stable"), y(channel, "canary")) == (2.0, 3.0)
        assert releases("rollback", *on) == 0
        assert (y(channel, "stable"), y(channel, "canary")) == (1.0, 3.0)


def test_a_server_that_is_started_with_the_file_serves_the_labels(root: Path, until: Callable[[Callable[[], bool]], None]) -> None:
    for version, label in ((1, "stable"), (2, "stable"), (3, "canary")):
        assert releases("promote", version, "--label", label, "--root", root) == 0
    config = ServerConfig(model_config_file=root / "releases" / "model_config.txt", rest_port=None, labels_for_unavailable=True)
    with ModelServer(config) as server, grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        until(lambda: available(channel) == {1, 2, 3})
        assert (y(channel, "stable"), y(channel, "canary")) == (2.0, 3.0)


def test_a_release_that_does_not_load_changes_no_label(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "releases" / "3" / "saved_model.pb").write_text("no graph")
    (root / "releases" / "3").rename(root / "away")
    with serving(root) as server, grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        on = ("--root", root, "--server", f"127.0.0.1:{server.grpc_port}")
        assert releases("promote", 2, "--label", "stable", *on) == 0
        (root / "away").rename(root / "releases" / "3")
        assert releases("promote", 3, "--label", "stable", *on) == 1
        assert "version 3 of 'shop' can't be loaded" in capsys.readouterr().err
        assert y(channel, "stable") == 2.0
        recorded = read_labels(root / "releases")
        assert recorded is not None
        assert recorded.now == {"stable": 2}


def set_labels(root: Path, channel: grpc.Channel, labels: dict[str, int]) -> None:
    """As somebody does who asks the server himself, past the files."""
    request = model_management_pb2.ReloadConfigRequest()
    entry = request.config.model_config_list.config.add(name="shop", base_path=str(root / "releases"), model_platform="tensorflow")
    entry.model_version_policy.specific.versions.extend(sorted({*labels.values()}))
    for label, version in labels.items():
        entry.version_labels[label] = version
    model_service.ModelServiceStub(channel).HandleReloadConfigRequest(request, timeout=10)


@pytest.fixture
def misled(root: Path, until: Callable[[Callable[[], bool]], None]) -> Iterator[tuple[grpc.Channel, tuple[object, ...]]]:
    """A server whose labels the files know nothing of, and the options that name it; release 3 is broken."""
    (root / "releases" / "3" / "saved_model.pb").write_text("no graph")
    assert releases("promote", 1, "--label", "stable", "--root", root) == 0
    # As TensorFlow Serving is by default: it tries again in a minute, for longer than anybody waits.
    config = ServerConfig(model_name="shop", model_base_path=str(root / "releases"), rest_port=None, poll_s=0.05, retries=5, retry_s=60)
    (root / "releases" / "3").rename(root / "away")
    with ModelServer(config) as server, grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        set_labels(root, channel, {"stable": 2, "of one's own": 2})
        until(lambda: available(channel) == {2})
        (root / "away").rename(root / "releases" / "3")
        yield channel, ("--root", root, "--server", f"127.0.0.1:{server.grpc_port}", "--timeout", "3")


def test_a_promotion_that_fails_leaves_the_server_the_labels_that_it_had_whatever_the_files_say(
    misled: tuple[grpc.Channel, tuple[object, ...]], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    channel, on = misled
    assert releases("promote", 3, "--label", "canary", *on) == 1
    assert "version 3 of 'shop' can't be loaded: " in capsys.readouterr().err  # though the server would try again
    assert y(channel, "stable") == y(channel, "of one's own") == 2.0
    with pytest.raises(grpc.RpcError, match="Unrecognized servable version label: canary"):
        y(channel, "canary")
    recorded = read_labels(root / "releases")
    assert recorded is not None
    assert recorded.now == {"stable": 1}


@pytest.mark.parametrize("header", [MODELS_HEADER, "none, as of TensorFlow Serving"])
def test_a_promotion_whose_files_cannot_be_written_leaves_the_server_the_labels_that_it_had(
    header: str, misled: tuple[grpc.Channel, tuple[object, ...]], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(move_labels, "MODELS_HEADER", header)
    channel, on = misled
    (root / "releases" / "model_config.txt").unlink()
    (root / "releases" / "model_config.txt").mkdir()
    assert releases("promote", 2, "--label", "canary", *on) == 1
    assert y(channel, "stable") == 2.0


@contextmanager
def two(root: Path, *, second: str = "shop") -> Iterator[tuple[str, list[grpc.Channel]]]:
    """Replicas on one port of two addresses, the second's model by name, behind one name as a headless Service gives it."""
    with serving(root) as first:
        port = first.grpc_port
        config = ServerConfig(
            model_name=second,
            model_base_path=str(root / "releases"),
            host="127.0.0.2",
            grpc_port=port,
            rest_port=None,
            poll_s=0.05,
            retries=0,
        )
        with ModelServer(config), ExitStack() as stack:
            yield f"model-server:{port}", [stack.enter_context(grpc.insecure_channel(f"127.0.0.{at}:{port}")) for at in (1, 2)]


@pytest.fixture
def headless(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = socket.getaddrinfo

    def statuses(host: str, port: int, *rest: Any, **more: Any) -> list[Any]:
        names = ("127.0.0.1", "127.0.0.2") if host == "model-server" else (host,)
        return [each for name in names for each in asked(name, port, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", statuses)


def test_all_replicas_behind_a_name_are_brought_along(root: Path, headless: None) -> None:
    with two(root) as (name, channels):
        for version in (1, 3):
            assert releases("promote", version, "--label", "stable", "--root", root, "--server", name) == 0
            assert [y(channel, "stable") for channel in channels] == [version, version]
        assert releases("rollback", "--root", root, "--server", name) == 0
        assert [y(channel, "stable") for channel in channels] == [1.0, 1.0]


def test_where_one_replica_cannot_be_brought_along_the_label_moves_on_none(
    root: Path, headless: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with two(root, second="other") as (name, (channel, _)):
        port = name.rpartition(":")[2]
        assert releases("promote", 2, "--label", "stable", "--root", root, "--server", f"127.0.0.1:{port}") == 0
        assert releases("promote", 3, "--label", "stable", "--root", root, "--server", name) == 1
        assert f"127.0.0.2:{port}: expected a server of the model 'shop'" in capsys.readouterr().err
        assert y(channel, "stable") == 2.0
        assert available(channel) == {2}


def test_a_server_that_listens_by_two_protocols_is_one_server() -> None:
    assert replicas("localhost:8500") == ("127.0.0.1:8500",)
    assert replicas("[::1]:8500") == ("[::1]:8500",)


@pytest.mark.parametrize("address", ["nowhere.invalid:8500", "model-server", "127.0.0.1:port"])
def test_an_address_that_is_none_says_so(address: str) -> None:
    with pytest.raises(RunError, match="expected HOST:PORT of a model server's gRPC"):
        replicas(address)


def test_a_server_of_another_model_is_left_alone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(root, model="other") as server:
        address = f"127.0.0.1:{server.grpc_port}"
        assert releases("promote", 2, "--label", "stable", "--root", root, "--server", address) == 1
        assert (
            f"{address}: expected a server of the model 'shop', which it doesn't have; give the name with --model"
            in capsys.readouterr().err
        )
        assert releases("promote", 2, "--label", "stable", "--root", root, "--server", address, "--model", "other") == 0


def test_a_server_that_does_not_answer_is_an_error_in_time_and_changes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert releases("promote", 2, "--label", "stable", "--root", root, "--server", "127.0.0.1:1", "--timeout", "0.5") == 1
    assert "127.0.0.1:1: expected a model server's gRPC, it didn't answer in time" in capsys.readouterr().err
    assert read_labels(root / "releases") is None


def test_a_server_that_cannot_see_the_release_is_an_error_in_time_and_is_put_back(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    with serving(root) as server, grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        on = ("--root", root, "--server", f"127.0.0.1:{server.grpc_port}", "--timeout", "1")
        assert releases("promote", 1, "--label", "stable", *on) == 0
        assert releases("promote", 2, "--label", "stable", *on, "--base-path", tmp_path / "elsewhere") == 1
        message = f"of 'shop' wasn't available in time; does the server see it under {tmp_path / 'elsewhere'}?"
        assert message in capsys.readouterr().err
        assert y(channel, "stable") == 1.0
    recorded = read_labels(root / "releases")
    assert recorded is not None
    assert (recorded.now, recorded.base_path) == ({"stable": 1}, "")


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    def wait(holds: Callable[[], bool]) -> None:
        pause = threading.Event()
        for _ in range(200):
            if holds():
                return
            pause.wait(0.05)
        raise AssertionError("not within 10 s")

    return wait


def test_labels_move_in_a_bucket_as_in_a_folder(bucket_store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = f"{bucket_store}/releases"
    for graph in ("a", "b"):
        (tmp_path / "model").mkdir(exist_ok=True)
        (tmp_path / "model" / "saved_model.pb").write_text(graph)
        publish(tmp_path / "model", address, facts(1))
    for version in (1, 2):
        assert releases("promote", version, "--label", "stable", "--releases", address) == 0
    assert f"stable is release 2, in {address}/model_config.txt (no server was told)" in capsys.readouterr().out
    assert releases("rollback", "--releases", address) == 0
    capsys.readouterr()
    assert releases("list", "--releases", address, "--json") == 0
    assert [(row["version"], row["labels"]) for row in json.loads(capsys.readouterr().out)] == [(2, []), (1, ["stable"])]
    assert releases("promote", 7, "--label", "stable", "--releases", address) == 2
    assert f"{address}: expected one of the releases 1, 2, got 7" in capsys.readouterr().err
