"""Moves labels on a running model server, TensorFlow Serving or the embedded one, without a request that fails for it.

A label may point to nothing but what is available, and what a label points to may not go. So it takes three configurations: load what is
new beside what there is; move the labels; let go of what isn't needed.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import grpc
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2
from tensorflow_serving.apis import model_service_pb2_grpc as model_service

from components.contract.errors import RunError

AVAILABLE = get_model_status_pb2.ModelVersionStatus.AVAILABLE
END = get_model_status_pb2.ModelVersionStatus.END
_POLL_S = 0.1


@dataclass(frozen=True)
class Target:
    """What a server serves: versions of one model, some of them labelled, and no other model."""

    model: str
    base_path: str
    versions: Sequence[int]
    labels: Mapping[str, int]


def move(address: str, target: Target, *, before: Target, patience_s: float) -> None:
    """Bring the server at `address` (`HOST:PORT` of its gRPC) to the target; returns when that is so.

    Args:
        address: of the server.
        target: what it is to serve.
        before: what it is believed to serve: its labels, and where it is put back to if a version doesn't come up.
        patience_s: for all of it.

    Raises:
        RunError: the server doesn't answer, doesn't have the model, can't load a version, or isn't ready in time. Where that happens
            before the labels moved they stay where they were.
    """
    until = time.monotonic() + patience_s
    with grpc.insecure_channel(address) as channel:
        service = model_service.ModelServiceStub(channel)
        server = _Server(service, address, target, until)
        there = server.states()
        available = {version for version, (state, _) in there.items() if state == AVAILABLE}
        staying = {label: version for label, version in before.labels.items() if version in available}
        both = sorted({*target.versions, *available})
        server.configure(both, staying)
        try:
            server.wait_for(target.versions)
        except RunError:
            with suppress(RunError):  # the first fault is the one to tell
                _put_back(_Server(service, address, before, time.monotonic() + patience_s), sorted(available), staying)
            raise
        server.configure(both, target.labels)
        server.configure(target.versions, target.labels)


def _put_back(server: "_Server", versions: Sequence[int], labels: Mapping[str, int]) -> None:
    """Where another base path emptied the server, labels can only be set once the versions are back."""
    try:
        server.configure(versions, labels)
    except RunError:
        server.configure(versions, {})
        server.wait_for(versions)
        server.configure(versions, labels)


class _Server:
    """A server's ModelService, asked about one model, with a moment when patience ends."""

    def __init__(self, stub: model_service.ModelServiceStub, address: str, target: Target, until: float) -> None:
        self._stub, self._address, self._target, self._until = stub, address, target, until

    def states(self) -> dict[int, tuple[int, str]]:
        """Version to its state and its error."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self._target.model
        try:
            response = self._stub.GetModelStatus(request, timeout=self._left())
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                lacking = f"expected a server of the model {self._target.model!r}, which it doesn't have"
                raise RunError(f"{self._address}: {lacking}; give the name with --model") from None
            raise self._unanswered(error) from None
        return {each.version: (each.state, each.status.error_message) for each in response.model_version_status}

    def wait_for(self, versions: Sequence[int]) -> None:
        """Return when all are available."""
        while True:
            states = self.states()
            missing = [version for version in versions if states.get(version, (0, ""))[0] != AVAILABLE]
            if not missing:
                return
            for version in missing:
                state, fault = states.get(version, (0, ""))
                if state == END and fault:
                    raise RunError(f"{self._address}: version {version} of {self._target.model!r} can't be loaded: {fault}")
            if time.monotonic() > self._until:
                raise RunError(
                    f"{self._address}: version {missing[0]} of {self._target.model!r} wasn't available in time; "
                    f"does the server see it under {self._target.base_path}?"
                )
            time.sleep(_POLL_S)

    def configure(self, versions: Sequence[int], labels: Mapping[str, int]) -> None:
        """Serve these versions and labels, and nothing else."""
        request = model_management_pb2.ReloadConfigRequest()
        entry = request.config.model_config_list.config.add(
            name=self._target.model, base_path=self._target.base_path, model_platform="tensorflow"
        )
        entry.model_version_policy.specific.versions.extend(versions)
        entry.version_labels.update(labels)
        try:
            response = self._stub.HandleReloadConfigRequest(request, timeout=self._left())
        except grpc.RpcError as error:
            raise self._unanswered(error) from None
        if response.status.error_code:
            raise RunError(f"{self._address}: the server refused the configuration: {response.status.error_message}")

    def _left(self) -> float:
        return max(self._until - time.monotonic(), _POLL_S)

    def _unanswered(self, error: grpc.RpcError) -> RunError:
        """A server that isn't there, hangs, or refuses."""
        code, words = error.code().name, " ".join(str(error.details()).split())
        if code in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
            return RunError(f"{self._address}: expected a model server's gRPC, it didn't answer in time ({code}: {words})")
        return RunError(f"{self._address}: the server refused the configuration ({code}: {words})")
