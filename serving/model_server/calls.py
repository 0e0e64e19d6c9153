"""The four inference calls over what is available, counted: the same whichever door a request came in by."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from tensorflow_serving.apis import classification_pb2, inference_pb2, model_pb2, predict_pb2, regression_pb2

from serving.model_server.errors import Code, ServingError, from_exception, invalid
from serving.model_server.inference import examples
from serving.model_server.inference.model_spec import required
from serving.model_server.inference.predict import predict
from serving.model_server.inference.runner import Call
from serving.model_server.lifecycle.registry import Catalogue
from serving.model_server.metrics import Metrics

Answer = TypeVar("Answer")


class Inference:
    """Raises ServingError only, whatever went wrong below. `deadline` is in seconds of the monotonic clock."""

    def __init__(self, catalogue: Catalogue, metrics: Metrics, *, as_content: bool) -> None:
        self._catalogue, self._metrics, self._as_content = catalogue, metrics, as_content

    def predict(self, request: predict_pb2.PredictRequest, deadline: float) -> predict_pb2.PredictResponse:
        """Named tensors to named tensors."""

        def run(call: Call, version: int) -> predict_pb2.PredictResponse:
            return predict(request, call, version=version, as_content=self._as_content)

        return self._run(required(request), "Predict", run, deadline)

    def classify(self, request: classification_pb2.ClassificationRequest, deadline: float) -> classification_pb2.ClassificationResponse:
        """tf.Examples to classes."""
        return self._on_examples(request, "Classify", examples.classify, deadline)

    def regress(self, request: regression_pb2.RegressionRequest, deadline: float) -> regression_pb2.RegressionResponse:
        """tf.Examples to numbers."""
        return self._on_examples(request, "Regress", examples.regress, deadline)

    def multi_inference(self, request: inference_pb2.MultiInferenceRequest, deadline: float) -> inference_pb2.MultiInferenceResponse:
        """tf.Examples to several results of one model."""
        if not request.tasks:
            raise invalid("Inference request must have at least one task")

        def run(call: Call, version: int) -> inference_pb2.MultiInferenceResponse:
            return examples.multi_inference(request, call, version=version)

        return self._run(request.tasks[0].model_spec, "MultiInference", run, deadline)

    def _on_examples(self, request: Any, api: str, answer: Callable[..., Answer], deadline: float) -> Answer:
        return self._run(required(request), api, lambda call, version: answer(request, call, version=version), deadline)

    def _run(self, spec: model_pb2.ModelSpec, api: str, run: Callable[[Call, int], Answer], deadline: float) -> Answer:
        with self._catalogue.lease(spec) as servable:
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

    def counted(self, model: str, api: str, entrypoint: str, run: Callable[[], Answer]) -> Answer:
        """Run a request, and count it by its outcome."""
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
