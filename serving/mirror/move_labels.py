"""Moves labels on running model servers, TensorFlow Serving or the embedded one, without a request that fails for it.

A label may point to nothing but what is available, and what a label points to may not go. So it takes three configurations: load what is
new beside what there is; move the labels; let go of what isn't needed.
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
_LEAST_S = 2.0  # for one call, though patience ends: a server that is busy is not one that is gone


@dataclass(frozen=True)
class Target:
    """What a server serves: versions of one model, some of them labelled, and no other model."""

    model: str
    base_path: str
    versions: Sequence[int]
    labels: Mapping[str, int]


def replicas(address: str) -> tuple[str, ...]:
    """Every address behind `HOST:PORT`: a headless Service of Kubernetes resolves to all of its pods.

    Raises:
        RunError: the name can't be resolved.
    """
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise RunError(f"{address}: expected HOST:PORT of a model server's gRPC, which isn't to be found ({error})") from None
    # A server that listens by both protocols is one server.
    family = min(each[0] for each in found)  # IPv4 before IPv6
    hosts = sorted({str(each[4][0]) for each in found if each[0] == family})
    return tuple(f"{each}:{port}" if family == socket.AF_INET else f"[{each}]:{port}" for each in hosts)


@contextmanager
def moved(addresses: Sequence[str], target: Target, *, before: Target, patience_s: float) -> Iterator[None]:
    """The servers at `addresses` (`HOST:PORT` of their gRPC) serve the target when the block begins.

    No label moves on any of them before all of them have what it is to point to. Where any of it fails, or the block does, each server is
    given back the labels that it itself said it had: not those of a file, which may know nothing of them.

    Args:
        addresses: of the servers.
        target: what they are to serve.
        before: where the servers are believed to find the releases, and labels that they may have beside those that are known by name.
        patience_s: for all of it.

    Raises:
        RunError: a server doesn't answer, doesn't have the model, can't load a version, or isn't ready in time.
    """
    with ExitStack() as stack:
        until = time.monotonic() + patience_s
        servers = [_Server(stack.enter_context(grpc.insecure_channel(address)), address, target, until) for address in addresses]
        names = sorted({STABLE, CANARY, PREVIOUS, *before.labels, *target.labels})
        begun = [(server, _available(server), server.labels(names)) for server in servers]
        try:
            for server, there, labels in begun:
                server.configure(sorted({*target.versions, *there}), labels)
            for server in servers:
                server.wait_for(target.versions)
            for server, there, _ in begun:
                server.configure(sorted({*target.versions, *there}), target.labels)
            for server in servers:
                server.configure(target.versions, target.labels)
            yield
        except BaseException as error:
            for server, there, labels in begun:
                try:
                    _put_back(server.towards(before, time.monotonic() + patience_s), sorted(there), labels)
                except RunError as fault:
                    error.add_note(f"{server.address}: its labels could not be put back: {fault}")
            raise


def _available(server: "_Server") -> set[int]:
    return {version for version, (state, _) in server.states().items() if state == AVAILABLE}


def _put_back(server: "_Server", versions: Sequence[int], labels: Mapping[str, int]) -> None:
    """Where the server let go of versions, labels can only be set once these are back."""
    try:
        server.configure(versions, labels)
    except RunError:
        server.configure(versions, {})
        server.wait_for(versions)
        server.configure(versions, labels)


@dataclass(frozen=True)
class _Server:
    """A server's ModelService, asked about one model, with a moment when patience ends."""

    channel: grpc.Channel
    address: str
    target: Target
    until: float

    def towards(self, target: Target, until: float) -> "_Server":
        """The same server, to be brought elsewhere."""
        return replace(self, target=target, until=until)

    def states(self) -> dict[int, tuple[int, str]]:
        """Version to its state and its error."""
        return {each.version: (each.state, each.status.error_message) for each in self._status()[0]}

    def labels(self, names: Sequence[str]) -> dict[str, int]:
        """The labels that the server has, with the version that each points to: all of them where it lists them, else those of these names.

        The embedded server lists them. TensorFlow Serving has no call for that; but the metadata of a label's model name its version.
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
                known[name] = int(ask(request, timeout=self._left()).model_spec.version.value)
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND):
                    raise self._unanswered(error) from None
        return known

    def _status(self) -> tuple[Any, Sequence[tuple[str, str]]]:
        """Of each version, and the trailing metadata."""
        request = ModelStatusRequest()
        request.model_spec.name = self.target.model
        ask = self.channel.unary_unary(
            MODEL_STATUS, request_serializer=ModelStatusRequest.SerializeToString, response_deserializer=ModelStatusResponse.FromString
        )
        try:
            response, call = ask.with_call(request, timeout=self._left())
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                lacking = f"expected a server of the model {self.target.model!r}, which it doesn't have"
                raise RunError(f"{self.address}: {lacking}; give the name with --model") from None
            raise self._unanswered(error) from None
        return response.model_version_status, call.trailing_metadata() or ()

    def wait_for(self, versions: Sequence[int]) -> None:
        """Return when all are available."""
        while True:
            states = self.states()
            missing = [version for version in versions if states.get(version, (0, ""))[0] != AVAILABLE]
            if not missing:
                return
            late = time.monotonic() > self.until
            for version in missing:
                state, fault = states.get(version, (0, ""))
                # A load that failed and is tried again has a fault and no end.
                if fault and (state == END or late):
                    raise RunError(f"{self.address}: version {version} of {self.target.model!r} can't be loaded: {fault}")
            if late:
                raise RunError(
                    f"{self.address}: version {missing[0]} of {self.target.model!r} wasn't available in time; "
                    f"does the server see it under {self.target.base_path}? Its log says what it does about it"
                )
            time.sleep(_POLL_S)

    def configure(self, versions: Sequence[int], labels: Mapping[str, int]) -> None:
        """Serve these versions and labels, and nothing else."""
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
            response = ask(request, timeout=self._left())
        except grpc.RpcError as error:
            raise self._unanswered(error) from None
        if response.status.error_code:
            raise RunError(f"{self.address}: the server refused the configuration: {response.status.error_message}")

    def _left(self) -> float:
        return max(self.until - time.monotonic(), _LEAST_S)

    def _unanswered(self, error: grpc.RpcError) -> RunError:
        """A server that isn't there, hangs, or refuses."""
        code, words = error.code().name, " ".join(str(error.details()).split())
        if code in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
            return RunError(f"{self.address}: expected a model server's gRPC, it didn't answer in time ({code}: {words})")
        return RunError(f"{self.address}: the server refused the configuration ({code}: {words})")
