"""Answer one REST request on plain values: no sockets, no HTTP library."""

import re
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from tensorflow_serving.apis import classification_pb2, get_model_metadata_pb2, get_model_status_pb2, predict_pb2, regression_pb2

from serving.model_server.calls import Inference
from serving.model_server.errors import Code, ServingError, from_exception, invalid
from serving.model_server.inference.signature import resolved
from serving.model_server.inference.tensors import fill_proto, to_array
from serving.model_server.lifecycle.registry import Registry
from serving.model_server.lifecycle.version_status import VersionStatuses
from serving.model_server.metadata import SIGNATURES, model_metadata, model_status
from serving.model_server.metrics import Metrics
from serving.model_server.rest import example_request, json_body, json_response, metadata_json, predict_request, routes

HTTP = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.UNAUTHENTICATED: 401,
}
MAX_BODY_BYTES = 64 * 2**20  # bytes of a body once decompressed
JSON = {"Content-Type": "application/json"}
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}


@dataclass(frozen=True)
class Request:
    """HTTP request: `path` as it was sent, without the query; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Api:
    """REST API. `metrics_path` is that of Prometheus' metrics, empty for none; `timeout_s` limits a request's wait."""

    inference: Inference
    registry: Registry
    statuses: VersionStatuses
    metrics: Metrics
    metrics_path: str
    cors: bool
    timeout_s: float

    def answer(self, request: Request) -> Response:
        """Answer a request; an error is a response too."""
        if self.metrics_path and request.path == self.metrics_path:
            return Response(200, {"Content-Type": "text/plain"}, self.metrics.page().encode())
        if not routes.API_PATHS.fullmatch(request.path):
            return Response(404, {"Content-Type": "text/html"}, b"<html><head><title>404 Not Found</title></head></html>\n")
        headers = CORS if self.cors else {}
        if request.method == "OPTIONS":
            if re.search("https?://", request.headers.get("origin", "")):
                return Response(200, headers, b"")
            return Response(400, headers, json_response.error("Origin header is missing in CORS preflight").encode())
        try:
            return Response(200, {**JSON, **headers}, self._dispatch(request).encode("utf-8", "surrogateescape"))
        except ServingError as error:
            return Response(HTTP.get(error.code, 500), {**JSON, **headers}, json_response.error(str(error)).encode("utf-8", "replace"))

    def _dispatch(self, request: Request) -> str:
        try:
            route = routes.parse(request.method, request.path)
        except ServingError as error:
            self.metrics.requests.add(1, "", error.code.name)
            raise
        return self.inference.counted(route.model, route.action, "REST", lambda: self._run(route, request))

    def _run(self, route: routes.Route, request: Request) -> str:
        try:
            match route.action:
                case "status":
                    return self._status(route)
                case "metadata":
                    return self._metadata(route)
                case "predict":
                    return self._predict(route, json_body.parse(decompressed(request)))
                case "classify":
                    return self._classify(route, json_body.parse(decompressed(request)))
                case _:
                    return self._regress(route, json_body.parse(decompressed(request)))
        except RecursionError as error:
            raise invalid("JSON Parse error: nested too deeply") from error
        except Exception as error:
            raise from_exception(error) from error

    def _predict(self, route: routes.Route, body: dict[str, object]) -> str:
        request = predict_pb2.PredictRequest()
        route.fill(request.model_spec)
        request.model_spec.signature_name = predict_request.signature_name(body)
        dtypes = self._input_dtypes(request)
        by_rows = predict_request.by_rows(body)
        arrays = predict_request.rows(body, dtypes) if by_rows else predict_request.columns(body, dtypes)
        for name, array in arrays.items():
            fill_proto(request.inputs[name], array, as_content=True)
        response = self.inference.predict(request, self._deadline())
        outputs = {name: to_array(proto) for name, proto in response.outputs.items()}
        return json_response.row_format(outputs) if by_rows else json_response.column_format(outputs)

    def _input_dtypes(self, request: predict_pb2.PredictRequest) -> dict[str, int]:
        name = resolved(request.model_spec.signature_name)
        with self.registry.lease(request.model_spec) as servable:
            if name not in servable.runner.signatures:
                raise invalid(f'Serving signature name: "{name}" not found in signature def')
            inputs = servable.runner.signatures[name].inputs
            if not inputs:
                raise invalid(f"Failed to get input map for signature: {request.model_spec.signature_name or 'DEFAULT'}")
            return {alias: info.dtype for alias, info in inputs.items()}

    def _classify(self, route: routes.Route, body: dict[str, object]) -> str:
        request = classification_pb2.ClassificationRequest()
        route.fill(request.model_spec)
        request.model_spec.signature_name = predict_request.signature_name(body)
        example_request.fill_input(body, request.input)
        return json_response.classes(self.inference.classify(request, self._deadline()).result)

    def _regress(self, route: routes.Route, body: dict[str, object]) -> str:
        request = regression_pb2.RegressionRequest()
        route.fill(request.model_spec)
        request.model_spec.signature_name = predict_request.signature_name(body)
        example_request.fill_input(body, request.input)
        return json_response.numbers(self.inference.regress(request, self._deadline()).result)

    def _status(self, route: routes.Route) -> str:
        request = get_model_status_pb2.GetModelStatusRequest()
        route.fill(request.model_spec)
        return metadata_json.status(model_status(request, self.statuses))

    def _metadata(self, route: routes.Route) -> str:
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=[SIGNATURES])
        route.fill(request.model_spec)
        return metadata_json.metadata(model_metadata(request, self.registry))

    def _deadline(self) -> float:
        return time.monotonic() + self.timeout_s


def decompressed(request: Request) -> bytes:
    """Return the body, decompressed where it is gzip. Raises INVALID_ARGUMENT where that fails or gets too large."""
    if "gzip" not in request.headers.get("content-encoding", ""):
        return request.body
    unpack = zlib.decompressobj(wbits=31)
    try:
        body = unpack.decompress(request.body, MAX_BODY_BYTES)
    except zlib.error as error:
        raise invalid(f"Failed to uncompress the body: {error}; expected gzip") from error
    if unpack.unconsumed_tail:
        raise invalid(f"Expected a body of at most {MAX_BODY_BYTES} bytes once uncompressed, got more; send less at a time")
    if not unpack.eof:
        raise invalid("Failed to uncompress the body: it ends too early; expected gzip")
    return body
