"""Move labels on running model servers, TensorFlow Serving or the embedded one, without failed requests.

A label may only point to an available version, and a labelled version may not be unloaded. So it takes three
configurations: load the new versions beside the old; move the labels; unload the versions that aren't needed.
"""

import json
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import grpc

from components.contract.errors import RunError
from components.contract.storage.labels import CANARY, MODELS_HEADER, PREVIOUS, STABLE
from serving.client.messages import (
    AVAILABLE,
    END,
    MODEL_METADATA,
    MODEL_STATUS,
    RELOAD_CONFIG,
    MetadataRequest,
    MetadataResponse,
    ModelStatusRequest,
    ModelStatusResponse,
    ReloadConfigRequest,
    ReloadConfigResponse,
)

_POLL_S = 0.1
_MIN_TIMEOUT_S = 2.0  # minimal timeout of a call, even at the deadline: a busy server isn't a dead one


@dataclass(frozen=True)
class Target:
    """Configuration of a server: versions of one model, some of them labelled, and no other model."""

    model: str
    base_path: str
    versions: Sequence[int]
    labels: Mapping[str, int]


def replicas(address: str) -> tuple[str, ...]:
    """Resolve `HOST:PORT` to all addresses: a headless Service of Kubernetes resolves to all of its pods.

    Raises:
        RunError: the name can't be resolved.
    """
    host, _, port = address.rpartition(":")
    try:
        resolved = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise RunError(f"{address}: expected HOST:PORT of a model server's gRPC, which isn't to be found ({error})") from None
    # A server that listens on IPv4 and IPv6 is one server.
    family = min(each[0] for each in resolved)  # IPv4 before IPv6
    hosts = sorted({str(each[4][0]) for each in resolved if each[0] == family})
    return tuple(f"{each}:{port}" if family == socket.AF_INET else f"[{each}]:{port}" for each in hosts)


@contextmanager
def moved(addresses: Sequence[str], target: Target, *, before: Target, patience_s: float) -> Iterator[None]:
    """Configure the servers at `addresses` (`HOST:PORT` of their gRPC) to serve the target when the block begins.

    No label moves on any server before all servers have loaded its version. Where a step or the block fails, each
    server gets back the labels that it reported before: not those of a file, which may lack some.

    Args:
        addresses: of the servers.
        target: their new configuration.
        before: the servers' present base path, and labels that they may have beside the known names.
        patience_s: timeout of the whole move.

    Raises:
        RunError: a server doesn't answer, doesn't have the model, can't load a version, or isn't ready in time.
    """
    with ExitStack() as stack:
        deadline = time.monotonic() + patience_s
        servers = [_Server(stack.enter_context(grpc.insecure_channel(address)), address, target, deadline) for address in addresses]
        names = sorted({STABLE, CANARY, PREVIOUS, *before.labels, *target.labels})
        initial = [(server, _available(server), server.labels(names)) for server in servers]
        try:
            for server, available, labels in initial:
                server.configure(sorted({*target.versions, *available}), labels)
            for server in servers:
                server.wait_for(target.versions)
            for server, available, _ in initial:
                server.configure(sorted({*target.versions, *available}), target.labels)
            for server in servers:
                server.configure(target.versions, target.labels)
            yield
        except BaseException as error:
            for server, available, labels in initial:
                try:
                    _restore(server.with_target(before, time.monotonic() + patience_s), sorted(available), labels)
                except RunError as fault:
                    error.add_note(f"{server.address}: its labels could not be put back: {fault}")
            raise


def _available(server: "_Server") -> set[int]:
    return {version for version, (state, _) in server.states().items() if state == AVAILABLE}


def _restore(server: "_Server", versions: Sequence[int], labels: Mapping[str, int]) -> None:
    """Restore versions and labels; labels of versions that were unloaded can only be set after these are loaded."""
    try:
        server.configure(versions, labels)
    except RunError:
        server.configure(versions, {})
        server.wait_for(versions)
        server.configure(versions, labels)


@dataclass(frozen=True)
class _Server:
    """Client of a server's ModelService for one model, with a deadline in seconds of the monotonic clock."""

    channel: grpc.Channel
    address: str
    target: Target
    deadline: float

    def with_target(self, target: Target, deadline: float) -> "_Server":
        """Return a client of the same server with another target and deadline."""
        return replace(self, target=target, deadline=deadline)

    def states(self) -> dict[int, tuple[int, str]]:
        """Return version to its state and its error."""
        return {each.version: (each.state, each.status.error_message) for each in self._status()[0]}

    def labels(self, names: Sequence[str]) -> dict[str, int]:
        """Return the server's labels with their versions: all of them where it lists them, else those with these names.

        The embedded server lists them. TensorFlow Serving has no call for that, but the metadata of a label's model has
        its version.
        """
        listed = [json.loads(value).get(self.target.model) for key, value in self._status()[1] if key == MODELS_HEADER]
        if listed and listed[0] is not None:
            return {str(name): int(version) for name, version in listed[0].items()}
        ask = self.channel.unary_unary(
            MODEL_METADATA, request_serializer=MetadataRequest.SerializeToString, response_deserializer=MetadataResponse.FromString
        )
        known = {}
        for name in names:
            request = MetadataRequest(metadata_field=["signature_def"])
            request.model_spec.name, request.model_spec.version_label = self.target.model, name
            try:
                known[name] = int(ask(request, timeout=self._timeout_s()).model_spec.version.value)
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND):
                    raise self._rpc_fault(error) from None
        return known

    def _status(self) -> tuple[Any, Sequence[tuple[str, str]]]:
        """Return the status of each version, and the trailing metadata."""
        request = ModelStatusRequest()
        request.model_spec.name = self.target.model
        ask = self.channel.unary_unary(
            MODEL_STATUS, request_serializer=ModelStatusRequest.SerializeToString, response_deserializer=ModelStatusResponse.FromString
        )
        try:
            response, call = ask.with_call(request, timeout=self._timeout_s())
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                lacking = f"expected a server of the model {self.target.model!r}, which it doesn't have"
                raise RunError(f"{self.address}: {lacking}; give the name with --model") from None
            raise self._rpc_fault(error) from None
        return response.model_version_status, call.trailing_metadata() or ()

    def wait_for(self, versions: Sequence[int]) -> None:
        """Wait until all versions are available. Raises RunError where one can't be loaded or the deadline passes."""
        while True:
            states = self.states()
            missing = [version for version in versions if states.get(version, (0, ""))[0] != AVAILABLE]
            if not missing:
                return
            late = time.monotonic() > self.deadline
            for version in missing:
                state, fault = states.get(version, (0, ""))
                # A failed load that will be retried has an error without the state END.
                if fault and (state == END or late):
                    raise RunError(f"{self.address}: version {version} of {self.target.model!r} can't be loaded: {fault}")
            if late:
                raise RunError(
                    f"{self.address}: version {missing[0]} of {self.target.model!r} wasn't available in time; "
                    f"does the server see it under {self.target.base_path}? Its log says what it does about it"
                )
            time.sleep(_POLL_S)

    def configure(self, versions: Sequence[int], labels: Mapping[str, int]) -> None:
        """Configure the server to serve these versions and labels alone."""
        request = ReloadConfigRequest()
        entry = request.config.model_config_list.config.add(
            name=self.target.model, base_path=self.target.base_path, model_platform="tensorflow"
        )
        entry.model_version_policy.specific.versions.extend(versions)
        for label, version in labels.items():
            entry.version_labels.add(key=label, value=version)
        ask = self.channel.unary_unary(
            RELOAD_CONFIG, request_serializer=ReloadConfigRequest.SerializeToString, response_deserializer=ReloadConfigResponse.FromString
        )
        try:
            response = ask(request, timeout=self._timeout_s())
        except grpc.RpcError as error:
            raise self._rpc_fault(error) from None
        if response.status.error_code:
            raise RunError(f"{self.address}: the server refused the configuration: {response.status.error_message}")

    def _timeout_s(self) -> float:
        return max(self.deadline - time.monotonic(), _MIN_TIMEOUT_S)

    def _rpc_fault(self, error: grpc.RpcError) -> RunError:
        """Convert an RPC error: the server isn't there, hangs, or rejects the request."""
        code, words = error.code().name, " ".join(str(error.details()).split())
        if code in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
            return RunError(f"{self.address}: expected a model server's gRPC, it didn't answer in time ({code}: {words})")
        return RunError(f"{self.address}: the server refused the configuration ({code}: {words})")
