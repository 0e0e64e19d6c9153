"""PredictionService and ModelService over gRPC: each method hands the request on and turns a failure into its status."""

import json
import math
import time
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_management_pb2
from tensorflow_serving.apis import model_service_pb2_grpc as model_service
from tensorflow_serving.apis import prediction_service_pb2_grpc as prediction_service

from components.contract.storage.labels import MODELS_HEADER
from serving.model_server.calls import Inference
from serving.model_server.errors import ServingError
from serving.model_server.lifecycle import models
from serving.model_server.lifecycle.model_manager import Fleet
from serving.model_server.lifecycle.registry import Catalogue
from serving.model_server.lifecycle.version_status import States
from serving.model_server.metadata import model_metadata, model_status

STATUS_CODES = {status.value[0]: status for status in grpc.StatusCode}
Answer = TypeVar("Answer")


class PredictionService(prediction_service.PredictionServiceServicer):
    """The inference calls and the signatures."""

    def __init__(self, inference: Inference, catalogue: Catalogue) -> None:
        self._inference, self._catalogue = inference, catalogue

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - named by the service
        """Named tensors to named tensors."""
        return self._counted("Predict", self._inference.predict, request, context)

    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """tf.Examples to classes."""
        return self._counted("Classify", self._inference.classify, request, context)

    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """tf.Examples to numbers."""
        return self._counted("Regress", self._inference.regress, request, context)

    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """tf.Examples to several results of one model."""
        return answered(context, lambda: self._inference.multi_inference(request, deadline(context)))

    def GetModelMetadata(  # noqa: N802
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """The signatures of one version."""
        return answered(context, lambda: model_metadata(request, self._catalogue))

    def _counted(self, api: str, run: Callable[[Any, float], Answer], request: Any, context: grpc.ServicerContext) -> Answer:
        name = request.model_spec.name
        return answered(context, lambda: self._inference.counted(name, api, "GRPC", lambda: run(request, deadline(context))))


class ModelService(model_service.ModelServiceServicer):
    """The status of versions, and another configuration."""

    def __init__(self, fleet: Fleet, states: States) -> None:
        self._fleet, self._states = fleet, states

    def GetModelStatus(  # noqa: N802
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Where each version stands; beside it all models with their labels, for which TensorFlow Serving has no call."""
        context.set_trailing_metadata(((MODELS_HEADER, json.dumps(self._fleet.labels())),))
        return answered(context, lambda: model_status(request, self._states))

    def HandleReloadConfigRequest(  # noqa: N802
        self, request: model_management_pb2.ReloadConfigRequest, context: grpc.ServicerContext
    ) -> model_management_pb2.ReloadConfigResponse:
        """Serve the request's models in place of all others; the status stands in the response and is the call's own too."""
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()
        try:
            self._fleet.reload(models.from_proto(request.config))
        except ServingError as error:
            response.status.error_code = error.code
            response.status.error_message = str(error)
            context.set_code(STATUS_CODES[error.code])
            context.set_details(str(error))
        return response


def answered(context: grpc.ServicerContext, run: Callable[[], Answer]) -> Answer:
    """What `run` returns; the call ends with the status of its failure."""
    try:
        return run()
    except ServingError as error:
        context.abort(STATUS_CODES[error.code], str(error))  # returning None would have gRPC log a trace for each refusal
        raise AssertionError("abort raises") from error


def deadline(context: grpc.ServicerContext) -> float:
    """When the client gives up, in seconds of the monotonic clock."""
    left = context.time_remaining()
    return math.inf if left is None else time.monotonic() + left
