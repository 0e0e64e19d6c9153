"""One REST request to one answer, on plain values: no sockets, no HTTP library."""

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
from serving.model_server.lifecycle.registry import Catalogue
from serving.model_server.lifecycle.version_status import States
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
LARGEST_BODY = 64 * 2**20  # bytes of a body once inflated
JSON = {"Content-Type": "application/json"}
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}


@dataclass(frozen=True)
class Request:
    """`path` as it was sent, without the query; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """Status, headers and body of a response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Api:
    """The REST API. `metrics_path` is where Prometheus reads, empty for nowhere; `timeout_s` is how long a request may wait."""

    inference: Inference
    catalogue: Catalogue
    states: States
    metrics: Metrics
    metrics_path: str
    cors: bool
    timeout_s: float

    def answer(self, request: Request) -> Answer:
        """Every failure is an answer too."""
        if self.metrics_path and request.path == self.metrics_path:
            return Answer(200, {"Content-Type": "text/plain"}, self.metrics.page().encode())
        if not routes.OURS.fullmatch(request.path):
            return Answer(404, {"Content-Type": "text/html"}, b"<html><head><title>404 Not Found</title></head></html>\n")
        headers = CORS if self.cors else {}
        if request.method == "OPTIONS":
            if re.search("https?://", request.headers.get("origin", "")):
                return Answer(200, headers, b"")
            return Answer(400, headers, json_response.error("Origin header is missing in CORS preflight").encode())
        try:
            return Answer(200, {**JSON, **headers}, self._routed(request).encode("utf-8", "surrogateescape"))
        except ServingError as error:
            return Answer(HTTP.get(error.code, 500), {**JSON, **headers}, json_response.error(str(error)).encode("utf-8", "replace"))

    def _routed(self, request: Request) -> str:
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
                    return self._predict(route, json_body.parse(inflated(request)))
                case "classify":
                    return self._classify(route, json_body.parse(inflated(request)))
                case _:
                    return self._regress(route, json_body.parse(inflated(request)))
        except RecursionError as error:
            raise invalid("JSON Parse error: nested too deeply") from error
        except Exception as error:
            raise from_exception(error) from error

    def _predict(self, route: routes.Route, body: dict[str, object]) -> str:
        asked = predict_pb2.PredictRequest()
        route.fill(asked.model_spec)
        asked.model_spec.signature_name = predict_request.signature_name(body)
        dtypes = self._input_dtypes(asked)
        by_rows = predict_request.by_rows(body)
        arrays = predict_request.rows(body, dtypes) if by_rows else predict_request.columns(body, dtypes)
        for name, array in arrays.items():
            fill_proto(asked.inputs[name], array, as_content=True)
        response = self.inference.predict(asked, self._deadline())
        outputs = {name: to_array(proto) for name, proto in response.outputs.items()}
        return json_response.row_format(outputs) if by_rows else json_response.column_format(outputs)

    def _input_dtypes(self, asked: predict_pb2.PredictRequest) -> dict[str, int]:
        name = resolved(asked.model_spec.signature_name)
        with self.catalogue.lease(asked.model_spec) as servable:
            if name not in servable.runner.signatures:
                raise invalid(f'Serving signature name: "{name}" not found in signature def')
            inputs = servable.runner.signatures[name].inputs
            if not inputs:
                raise invalid(f"Failed to get input map for signature: {asked.model_spec.signature_name or 'DEFAULT'}")
            return {alias: info.dtype for alias, info in inputs.items()}

    def _classify(self, route: routes.Route, body: dict[str, object]) -> str:
        asked = classification_pb2.ClassificationRequest()
        route.fill(asked.model_spec)
        asked.model_spec.signature_name = predict_request.signature_name(body)
        example_request.fill_input(body, asked.input)
        return json_response.classes(self.inference.classify(asked, self._deadline()).result)

    def _regress(self, route: routes.Route, body: dict[str, object]) -> str:
        asked = regression_pb2.RegressionRequest()
        route.fill(asked.model_spec)
        asked.model_spec.signature_name = predict_request.signature_name(body)
        example_request.fill_input(body, asked.input)
        return json_response.numbers(self.inference.regress(asked, self._deadline()).result)

    def _status(self, route: routes.Route) -> str:
        asked = get_model_status_pb2.GetModelStatusRequest()
        route.fill(asked.model_spec)
        return metadata_json.status(model_status(asked, self.states))

    def _metadata(self, route: routes.Route) -> str:
        asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=[SIGNATURES])
        route.fill(asked.model_spec)
        return metadata_json.metadata(model_metadata(asked, self.catalogue))

    def _deadline(self) -> float:
        return time.monotonic() + self.timeout_s


def inflated(request: Request) -> bytes:
    """The body, unpacked where it came as gzip. Raises INVALID_ARGUMENT where it can't be or gets too large."""
    if "gzip" not in request.headers.get("content-encoding", ""):
        return request.body
    unpack = zlib.decompressobj(wbits=31)
    try:
        body = unpack.decompress(request.body, LARGEST_BODY)
    except zlib.error as error:
        raise invalid(f"Failed to uncompress the body: {error}; expected gzip") from error
    if unpack.unconsumed_tail:
        raise invalid(f"Expected a body of at most {LARGEST_BODY} bytes once uncompressed, got more; send less at a time")
    if not unpack.eof:
        raise invalid("Failed to uncompress the body: it ends too early; expected gzip")
    return body
