"""Load a model into a running model server, such as TensorFlow Serving, for the time of a rehearsal."""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2
from tensorflow_serving.apis import model_service_pb2_grpc as model_service

from components.contract.errors import InputError, RunError
from components.contract.storage.labels import MODELS_HEADER

SERVER, FOLDER = "SHELFRANK_REHEARSAL_SERVER", "SHELFRANK_REHEARSAL_FOLDER"
_AVAILABLE, _END = get_model_status_pb2.ModelVersionStatus.AVAILABLE, get_model_status_pb2.ModelVersionStatus.END
_UNNAMED = ("default", "model")  # of `--model_name`, and of TensorFlow Serving's image
_POLL_S = 0.1


@dataclass(frozen=True)
class RemoteServer:
    """A running model server for rehearsals.

    Attributes:
        address: `HOST:PORT` of its gRPC. It serves no model before and after; one that serves a model is refused.
        folder: a shared folder that this process and the server see under one path; None: the temporary folder.
    """

    address: str
    folder: Path | None = None

    @classmethod
    def from_environment(cls, environment: dict[str, str]) -> "RemoteServer | None":
        """Read the environment variables; None where they name no server.

        Raises:
            InputError: the folder isn't there.
        """
        address, folder = environment.get(SERVER, ""), environment.get(FOLDER, "")
        if folder and not Path(folder).is_dir():
            raise InputError(f"{FOLDER}: expected a folder that the model server sees too, got {folder!r}; create it, or leave it out")
        return cls(address, Path(folder) if folder else None) if address else None


@contextmanager
def served_by(where: RemoteServer, folder: Path, *, model: str, patience_s: float = 120.0) -> Iterator[str]:
    """Serve the SavedModel in `folder` as `model` on the server while the block runs; yields the server's address.

    Raises:
        InputError: the server serves a model; nothing is changed there.
        RunError: the server doesn't answer, or can't load it in time.
    """
    with tempfile.TemporaryDirectory(dir=where.folder) as base, grpc.insecure_channel(where.address) as channel:
        Path(base).chmod(0o755)  # the server may run as somebody else
        # A version number that no earlier rehearsal had, so that the status can't be of an earlier one.
        version = time.time_ns() // 1_000_000
        shutil.copytree(folder, Path(base) / str(version))
        service, until = model_service.ModelServiceStub(channel), time.monotonic() + patience_s
        _check_idle(service, where.address, model, until)
        try:
            _configure(service, where.address, {model: base}, until)
            _wait(service, where.address, model, version, until)
            yield where.address
        finally:
            until = time.monotonic() + patience_s
            _configure(service, where.address, {}, until)
            while _served(service, where.address, model, until)[0] and time.monotonic() < until:
                time.sleep(_POLL_S)  # else the next rehearsal would be refused


def _check_idle(service: model_service.ModelServiceStub, address: str, model: str, until: float) -> None:
    """Raise InputError where the server serves any model.

    The embedded server lists all its models. TensorFlow Serving reports by name only: the shop's model is looked up,
    and the default names of its `--model_name`.
    """
    for name in (model, *_UNNAMED):
        versions, all_models = _served(service, address, name, until)
        busy = sorted({*all_models, *([name] if versions else [])})
        if busy:
            raise InputError(
                f"expected a model server for rehearsals at {address}, which serves nothing; it serves {', '.join(map(repr, busy))}, "
                f"which a rehearsal would end. Name another one in {SERVER}, or leave it out: then a server is started for the time being"
            )


def _served(service: model_service.ModelServiceStub, address: str, model: str, until: float) -> tuple[list[int], list[str]]:
    """Return a model's versions that aren't unloaded, and the names of all models if the server lists them."""
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = model
    try:
        response, call = service.GetModelStatus.with_call(request, timeout=max(until - time.monotonic(), _POLL_S))
        statuses, metadata = response.model_version_status, call.trailing_metadata()
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise _unanswered(error, address) from None
        statuses, metadata = (), error.trailing_metadata()
    names = [value for key, value in metadata or () if key == MODELS_HEADER and value]
    return [each.version for each in statuses if each.state != _END], list(json.loads(names[0])) if names else []


def _unanswered(error: grpc.RpcError, address: str) -> RunError:
    return RunError(f"the model server at {address}: {error.code().name}, {' '.join(str(error.details()).split())}")


def _configure(service: model_service.ModelServiceStub, address: str, models: dict[str, str], until: float) -> None:
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.SetInParent()
    for name, base in models.items():
        request.config.model_config_list.config.add(name=name, base_path=base, model_platform="tensorflow")
    try:
        response = service.HandleReloadConfigRequest(request, timeout=max(until - time.monotonic(), _POLL_S))
    except grpc.RpcError as error:
        raise _unanswered(error, address) from None
    if response.status.error_code:
        raise RunError(f"the model server at {address} refused the model: {response.status.error_message}")


def _wait(service: model_service.ModelServiceStub, address: str, model: str, version: int, until: float) -> None:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = model
    while True:
        response = service.GetModelStatus(request, timeout=max(until - time.monotonic(), _POLL_S))
        status = next((each for each in response.model_version_status if each.version == version), None)
        if status is not None and status.state == _AVAILABLE:
            return
        if status is not None and status.state == _END and status.status.error_message:
            raise RunError(f"the model server at {address} can't load the model: {status.status.error_message}")
        if time.monotonic() > until:
            raise RunError(f"the model server at {address} hasn't loaded the model in time; does it see the folder that {FOLDER} names?")
        time.sleep(_POLL_S)
