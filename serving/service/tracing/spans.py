"""Export spans by OpenTelemetry, over OTLP and gRPC. Imported only if there is a collector (see tracing.py)."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, final

import grpc
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

NAME = "shelfrank"
_PROPAGATOR = TraceContextTextMapPropagator()


@final
class Spans:
    """Implement Tracing with OpenTelemetry. No span holds a shopper's id.

    Sampling, batch sizes and the service's name follow OpenTelemetry's environment variables.
    """

    def __init__(self) -> None:
        named = {} if "OTEL_SERVICE_NAME" in os.environ else {SERVICE_NAME: NAME}
        # One of its own, not the process's: two services in a process don't mix.
        self._provider = TracerProvider(resource=Resource.create(named))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(NAME)

    def request(self, name: str, headers: Mapping[str, Any]) -> AbstractContextManager[Any]:
        """See Tracing."""
        trace_headers = {key: headers[key] for key in _PROPAGATOR.fields if isinstance(headers.get(key), str)}
        return self._tracer.start_as_current_span(
            name, _PROPAGATOR.extract(trace_headers), kind=trace.SpanKind.SERVER, record_exception=False, set_status_on_exception=True
        )

    def span(self, name: str) -> AbstractContextManager[Any]:
        """See Tracing."""
        return self._tracer.start_as_current_span(name, record_exception=False)

    def note(self, **attributes: str | int | bool) -> None:
        """See Tracing."""
        span = trace.get_current_span()
        for name, value in attributes.items():
            span.set_attribute(f"{NAME}.{name}", value)

    def model_interceptors(self) -> Sequence[grpc.aio.ClientInterceptor]:
        """See Tracing."""
        return (_ModelSpans(self._tracer),)

    def close(self, timeout_s: float) -> None:
        """See Tracing."""
        self._provider.force_flush(int(timeout_s * 1e3))
        self._provider.shutdown()


class _ModelSpans(grpc.aio.UnaryUnaryClientInterceptor):
    """Trace each call, so that retries and hedges are spans of their own."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """See grpc."""
        with self._tracer.start_as_current_span("model", kind=trace.SpanKind.CLIENT, record_exception=False) as span:
            trace_headers: dict[str, str] = {}
            _PROPAGATOR.inject(trace_headers)
            metadata = grpc.aio.Metadata(*(client_call_details.metadata or ()), *trace_headers.items())
            call = await continuation(client_call_details._replace(metadata=metadata), request)
            try:
                code = await call.code()
            except asyncio.CancelledError:
                call.cancel()  # another replica was faster, or the caller disconnected
                raise
            span.set_attribute("rpc.grpc.status_code", code.value[0])
            if code is not grpc.StatusCode.OK:
                span.set_status(trace.StatusCode.ERROR, code.name)
            return call
