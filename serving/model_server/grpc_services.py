"""Implement PredictionService and ModelService: each method delegates, and converts an error to its gRPC status."""

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
from serving.model_server.lifecycle.model_manager import ModelManager
from serving.model_server.lifecycle.registry import Registry
from serving.model_server.lifecycle.version_status import VersionStatuses
from serving.model_server.metadata import model_metadata, model_status

STATUS_CODES = {status.value[0]: status for status in grpc.StatusCode}
Response = TypeVar("Response")


class PredictionService(prediction_service.PredictionServiceServicer):
    """Inference calls and signatures."""

    def __init__(self, inference: Inference, registry: Registry) -> None:
        self._inference, self._registry = inference, registry

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - named by the service
        """Run one signature on named tensors."""
        return self._counted("Predict", self._inference.predict, request, context)

    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Classify tf.Examples."""
        return self._counted("Classify", self._inference.classify, request, context)

    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Predict a number for each tf.Example."""
        return self._counted("Regress", self._inference.regress, request, context)

    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Run several classifications and regressions of one model on the same tf.Examples."""
        return run_or_abort(context, lambda: self._inference.multi_inference(request, deadline(context)))

    def GetModelMetadata(  # noqa: N802
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Return the signatures of one version."""
        return run_or_abort(context, lambda: model_metadata(request, self._registry))

    def _counted(self, api: str, run: Callable[[Any, float], Response], request: Any, context: grpc.ServicerContext) -> Response:
        name = request.model_spec.name
        return run_or_abort(context, lambda: self._inference.counted(name, api, "GRPC", lambda: run(request, deadline(context))))


class ModelService(model_service.ModelServiceServicer):
    """Status of versions, and reload of the configuration."""

    def __init__(self, manager: ModelManager, statuses: VersionStatuses) -> None:
        self._manager, self._statuses = manager, statuses

    def GetModelStatus(  # noqa: N802
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Return each version's status, and as trailing metadata all labels, which the API lacks."""
        context.set_trailing_metadata(((MODELS_HEADER, json.dumps(self._manager.labels())),))
        return run_or_abort(context, lambda: model_status(request, self._statuses))

    def HandleReloadConfigRequest(  # noqa: N802
        self, request: model_management_pb2.ReloadConfigRequest, context: grpc.ServicerContext
    ) -> model_management_pb2.ReloadConfigResponse:
        """Serve the request's models in place of all others; the status is both in the response and the call's own."""
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()
        try:
            self._manager.reload(models.from_proto(request.config))
        except ServingError as error:
            response.status.error_code = error.code
            response.status.error_message = str(error)
            context.set_code(STATUS_CODES[error.code])
            context.set_details(str(error))
        return response


def run_or_abort(context: grpc.ServicerContext, run: Callable[[], Response]) -> Response:
    """Return what `run` returns, or abort the call with the status of its error."""
    try:
        return run()
    except ServingError as error:
        context.abort(STATUS_CODES[error.code], str(error))  # returning None would have gRPC log a trace for each refusal
        raise AssertionError("abort raises") from error


def deadline(context: grpc.ServicerContext) -> float:
    """Return the client's deadline, in seconds of the monotonic clock; infinity where it set none."""
    left = context.time_remaining()
    return math.inf if left is None else time.monotonic() + left
