"""Where a request's time goes, as spans; unless the environment names a collector nothing is told, and nothing imported for it."""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, final

import grpc

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Tracing(Protocol):
    """What the service tells of its work."""

    def request(self, name: str, carried: Mapping[str, Any]) -> AbstractContextManager[Any]:
        """The span of a request, within the caller's where the headers that it carried tell of one."""
        ...

    def span(self, name: str) -> AbstractContextManager[Any]:
        """One within the present span."""
        ...

    def note(self, **attributes: str | int | bool) -> None:
        """Write to the present span."""
        ...

    def on_the_way_to_the_model(self) -> Sequence[grpc.aio.ClientInterceptor]:
        """What each call of the model passes through: a span of its own, which the model server is told of."""
        ...

    def close(self, timeout_s: float) -> None:
        """Send what is left."""
        ...


_NOTHING = nullcontext()


@final
class NoTracing:
    """Tells nobody."""

    def request(self, name: str, carried: Mapping[str, Any]) -> AbstractContextManager[Any]:
        """See Tracing."""
        return _NOTHING

    def span(self, name: str) -> AbstractContextManager[Any]:
        """See Tracing."""
        return _NOTHING

    def note(self, **attributes: str | int | bool) -> None:
        """See Tracing."""

    def on_the_way_to_the_model(self) -> Sequence[grpc.aio.ClientInterceptor]:
        """See Tracing."""
        return ()

    def close(self, timeout_s: float) -> None:
        """See Tracing."""


def tracing() -> Tracing:
    """As the environment wants it: `OTEL_EXPORTER_OTLP_ENDPOINT`, and the other variables that OpenTelemetry knows."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return NoTracing()
    from serving.service.telemetry.spans import Spans

    return Spans()
