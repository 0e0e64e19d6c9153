"""Another configuration and labels for a running server, as TensorFlow Serving takes them."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_management_pb2

from serving.model_server.errors import Code, ServingError
from tests.serving.model_server.conftest import Client, Start
from tests.serving.model_server.test_lifecycle import THREE, TWO, until

Base = Callable[..., Path]


def entry(
    name: str, base: Path | str, *, labels: Mapping[str, int] | None = None, every: bool = False, platform: str = "tensorflow"
) -> str:
    labelled = " ".join(f'version_labels {{ key: "{label}" value: {version} }}' for label, version in (labels or {}).items())
    rule = "model_version_policy { all {} }" if every else ""
    return f'config {{ name: "{name}" base_path: "{base}" model_platform: "{platform}" {rule} {labelled} }}'


def listed(*entries: str) -> str:
    return f"model_config_list {{ {' '.join(entries)} }}"


def reload(client: Client, config: str) -> model_management_pb2.ReloadConfigResponse:
    request = model_management_pb2.ReloadConfigRequest()
    text_format.Parse(config, request.config)
    return client.models.HandleReloadConfigRequest(request, timeout=30)


@pytest.fixture
def client(start: Start, base: Base, tmp_path: Path) -> Client:
    """Two versions of `shop`, both served."""
    (tmp_path / "models.config").write_text(listed(entry("shop", base(versions={1: TWO, 2: THREE}), every=True)))
    client = start(model_config_file=tmp_path / "models.config")
    until(lambda: client.states("shop") == {2: "AVAILABLE", 1: "AVAILABLE"})
    return client


def test_a_reload_returns_when_the_new_model_answers_and_drops_the_others(client: Client, base: Base) -> None:
    response = reload(client, listed(entry("other", base("other", {5: TWO}))))
    assert (response.status.error_code, response.status.error_message) == (0, "")
    assert client.y(2.0, model="other") == 3.0
    until(lambda: client.states("shop") == {2: "END", 1: "END"})


@pytest.mark.parametrize(
    ("config", "code", "text"),
    [
        pytest.param(
            lambda base: listed(entry("shop", base), entry("shop", base)),
            grpc.StatusCode.INVALID_ARGUMENT,
            "Illegal to list model shop multiple times in config list",
            id="twice",
        ),
        pytest.param(
            lambda base: listed(entry("shop", "some/where")),
            grpc.StatusCode.INVALID_ARGUMENT,
            "Expected model shop to have an absolute path or URI; got base_path()=some/where",
            id="relative",
        ),
        pytest.param(
            lambda base: listed(entry("shop", base, platform="other")),
            grpc.StatusCode.INVALID_ARGUMENT,
            "Illegal to change a model's platform. For model shop platform was tensorflow and new platform requested is other",
            id="platform",
        ),
        pytest.param(
            lambda base: listed(entry("shop", base, platform="")),
            grpc.StatusCode.INVALID_ARGUMENT,
            "Illegal setting neither",
            id="no-platform",
        ),
        pytest.param(
            lambda base: listed(entry("shop", base, labels={"stable": 9}, every=True)),
            grpc.StatusCode.FAILED_PRECONDITION,
            "Request to assign label to version 9 of model shop, which is not currently available for inference",
            id="label-on-nothing",
        ),
        pytest.param(
            lambda base: "custom_model_config {}",
            grpc.StatusCode.INVALID_ARGUMENT,
            "Only ModelConfigList is currently supported",
            id="custom",
        ),
    ],
)
def test_a_configuration_that_contradicts_itself_is_refused(
    client: Client, base: Base, config: Callable[[Path], str], code: grpc.StatusCode, text: str
) -> None:
    with pytest.raises(grpc.RpcError) as call:
        reload(client, config(base()))
    assert call.value.code() is code
    assert text in call.value.details()
    assert client.y(2.0, model="shop") == 4.0


def test_a_reload_with_a_model_that_does_not_load_says_so(start: Start, base: Base) -> None:
    client = start(model_base_path=str(base(versions={1: TWO})), retries=0)
    (base("broken") / "1").mkdir()
    with pytest.raises(grpc.RpcError) as call:
        reload(client, listed(entry("default", base()), entry("broken", base("broken"))))
    assert call.value.code() is grpc.StatusCode.UNKNOWN
    assert "1 model(s) did not become available: {{{name: broken version: 1} due to error: NOT_FOUND: " in call.value.details()
    assert client.y(2.0) == 3.0


def test_labels_may_share_a_version_and_move(client: Client, base: Base) -> None:
    reload(client, listed(entry("shop", base(), labels={"stable": 1, "also": 1, "canary": 2}, every=True)))
    assert [client.y(2.0, model="shop", label=label) for label in ("stable", "also", "canary")] == [3.0, 3.0, 4.0]
    reload(client, listed(entry("shop", base(), labels={"stable": 2, "canary": 2}, every=True)))
    assert [client.y(2.0, model="shop", label=label) for label in ("stable", "canary")] == [4.0, 4.0]
    with pytest.raises(grpc.RpcError) as call:
        client.y(2.0, model="shop", label="also")
    assert "Unrecognized servable version label: also" in call.value.details()


def test_a_label_in_the_first_configuration_is_refused_unless_it_is_allowed(start: Start, base: Base, tmp_path: Path) -> None:
    (tmp_path / "models.config").write_text(listed(entry("shop", base(versions={1: TWO}), labels={"stable": 1})))
    with pytest.raises(ServingError) as error:
        start(model_config_file=tmp_path / "models.config")
    assert error.value.code is Code.FAILED_PRECONDITION
    client = start(model_config_file=tmp_path / "models.config", labels_for_unavailable=True)
    assert client.y(2.0, model="shop", label="stable") == 3.0


def test_where_it_is_allowed_a_label_still_moves_only_to_what_answers(start: Start, base: Base, tmp_path: Path) -> None:
    (tmp_path / "models.config").write_text(listed(entry("shop", base(versions={1: TWO}), labels={"stable": 1})))
    client = start(model_config_file=tmp_path / "models.config", labels_for_unavailable=True)
    reload(client, listed(entry("shop", base(), labels={"stable": 1, "canary": 2})))
    with pytest.raises(grpc.RpcError) as call:
        reload(client, listed(entry("shop", base(), labels={"stable": 2})))
    assert call.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_a_config_file_that_is_written_anew_is_followed(start: Start, base: Base, tmp_path: Path) -> None:
    path = tmp_path / "models.config"
    path.write_text(listed(entry("one", base("one", {1: TWO}))))
    client = start(model_config_file=path, config_poll_s=0.1)
    path.write_text("nonsense {")
    time.sleep(0.3)
    assert client.y(2.0, model="one") == 3.0
    path.write_text(listed(entry("other", base("other", {1: THREE}))))
    until(lambda: client.states("other") == {1: "AVAILABLE"} and client.states("one") == {1: "END"})
    assert client.y(2.0, model="other") == 4.0
    with pytest.raises(grpc.RpcError) as call:
        client.y(2.0, model="one")
    assert call.value.code() is grpc.StatusCode.NOT_FOUND


def test_without_a_poll_the_config_file_is_read_once(start: Start, base: Base, tmp_path: Path) -> None:
    path = tmp_path / "models.config"
    path.write_text(listed(entry("one", base("one", {1: TWO}))))
    client = start(model_config_file=path)
    path.write_text(listed(entry("other", base("other", {1: THREE}))))
    time.sleep(0.5)
    assert (client.states("one"), client.states("other")) == ({1: "AVAILABLE"}, {})
