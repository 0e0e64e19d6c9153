"""Trace where a request's time goes; without a collector in the environment nothing is traced, or imported for it."""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, final

import grpc

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Tracing(Protocol):
    """Define how the service traces its work."""

    def request(self, name: str, headers: Mapping[str, Any]) -> AbstractContextManager[Any]:
        """Return the span of a request, a child of the caller's span if the headers name one."""
        ...

    def span(self, name: str) -> AbstractContextManager[Any]:
        """Return a child of the current span."""
        ...

    def note(self, **attributes: str | int | bool) -> None:
        """Set attributes of the current span."""
        ...

    def model_interceptors(self) -> Sequence[grpc.aio.ClientInterceptor]:
        """Return interceptors of model calls: each is a span of its own, passed on to the model server."""
        ...

    def close(self, timeout_s: float) -> None:
        """Export the remaining spans."""
        ...


_NOTHING = nullcontext()


@final
class NoTracing:
    """Trace nothing."""

    def request(self, name: str, headers: Mapping[str, Any]) -> AbstractContextManager[Any]:
        """See Tracing."""
        return _NOTHING

    def span(self, name: str) -> AbstractContextManager[Any]:
        """See Tracing."""
        return _NOTHING

    def note(self, **attributes: str | int | bool) -> None:
        """See Tracing."""

    def model_interceptors(self) -> Sequence[grpc.aio.ClientInterceptor]:
        """See Tracing."""
        return ()

    def close(self, timeout_s: float) -> None:
        """See Tracing."""


def open_tracing() -> Tracing:
    """Return the tracing that OpenTelemetry's environment variables configure."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return NoTracing()
    from serving.service.tracing.spans import Spans

    return Spans()
