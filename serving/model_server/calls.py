"""Run the four inference calls on the available versions, and measure them: the same code for gRPC and REST."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from tensorflow_serving.apis import classification_pb2, inference_pb2, model_pb2, predict_pb2, regression_pb2

from serving.model_server.errors import Code, ServingError, from_exception, invalid
from serving.model_server.inference import examples
from serving.model_server.inference.model_spec import required_model_spec
from serving.model_server.inference.predict import predict
from serving.model_server.inference.runner import Call
from serving.model_server.lifecycle.registry import Registry
from serving.model_server.metrics import Metrics

Response = TypeVar("Response")


class Inference:
    """The inference calls. They raise ServingError only; `deadline` is in seconds of the monotonic clock."""

    def __init__(self, registry: Registry, metrics: Metrics, *, as_content: bool) -> None:
        self._registry, self._metrics, self._as_content = registry, metrics, as_content

    def predict(self, request: predict_pb2.PredictRequest, deadline: float) -> predict_pb2.PredictResponse:
        """Run one signature on named tensors."""

        def run(call: Call, version: int) -> predict_pb2.PredictResponse:
            return predict(request, call, version=version, as_content=self._as_content)

        return self._run(required_model_spec(request), "Predict", run, deadline)

    def classify(self, request: classification_pb2.ClassificationRequest, deadline: float) -> classification_pb2.ClassificationResponse:
        """Classify tf.Examples."""
        return self._on_examples(request, "Classify", examples.classify, deadline)

    def regress(self, request: regression_pb2.RegressionRequest, deadline: float) -> regression_pb2.RegressionResponse:
        """Predict a number for each tf.Example."""
        return self._on_examples(request, "Regress", examples.regress, deadline)

    def multi_inference(self, request: inference_pb2.MultiInferenceRequest, deadline: float) -> inference_pb2.MultiInferenceResponse:
        """Run several classifications and regressions of one model on the same tf.Examples."""
        if not request.tasks:
            raise invalid("Inference request must have at least one task")

        def run(call: Call, version: int) -> inference_pb2.MultiInferenceResponse:
            return examples.multi_inference(request, call, version=version)

        return self._run(request.tasks[0].model_spec, "MultiInference", run, deadline)

    def _on_examples(self, request: Any, api: str, answer: Callable[..., Response], deadline: float) -> Response:
        return self._run(required_model_spec(request), api, lambda call, version: answer(request, call, version=version), deadline)

    def _run(self, spec: model_pb2.ModelSpec, api: str, run: Callable[[Call, int], Response], deadline: float) -> Response:
        with self._registry.lease(spec) as servable:
            call = Call(servable.runner, deadline)
            try:
                answer = run(call, servable.version)
            except Exception as error:
                raise from_exception(error) from error
        self._metrics.runtime_latency.add(call.runtime_s * 1e6, spec.name, api, "TF1")
        if call.examples:
            self._metrics.examples.add(call.examples, spec.name)
            self._metrics.examples_total.add(call.examples, spec.name)
        return answer

    def counted(self, model: str, api: str, entrypoint: str, run: Callable[[], Response]) -> Response:
        """Run a request, count it by its status code, and measure its latency."""
        start = time.perf_counter()
        code = Code.UNKNOWN
        try:
            answer = run()
            code = Code.OK
        except ServingError as error:
            code = error.code
            raise
        finally:
            self._metrics.requests.add(1, model, code.name)
        self._metrics.request_latency.add((time.perf_counter() - start) * 1e6, model, api, entrypoint)
        return answer
