"""Start and stop a model server, in a test, inside another process, or for the command line."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc as model_service
from tensorflow_serving.apis import prediction_service_pb2_grpc as prediction_service

from serving.model_server import text_protos
from serving.model_server.batching import parameters as batching
from serving.model_server.batching.queue import BatchThreads
from serving.model_server.batching.runner import BatchingRunner
from serving.model_server.calls import Inference
from serving.model_server.config import ServerConfig
from serving.model_server.errors import Code, ServingError, from_exception
from serving.model_server.grpc_services import ModelService, PredictionService
from serving.model_server.inference.runner import Runner
from serving.model_server.inference.saved_model import LoadedModel
from serving.model_server.inference.warmup import warm_up
from serving.model_server.lifecycle import models
from serving.model_server.lifecycle.lifecycle import Lifecycle, Loader
from serving.model_server.lifecycle.malloc_trim import trim
from serving.model_server.lifecycle.model_manager import ModelManager
from serving.model_server.lifecycle.periodic import Periodic
from serving.model_server.lifecycle.registry import Registry
from serving.model_server.lifecycle.version_status import VersionStatuses
from serving.model_server.metrics import Metrics
from serving.model_server.rest.api import Api
from serving.model_server.rest.http import RestServer

METRICS_PATH = "/monitoring/prometheus/metrics"
log = logging.getLogger(__name__)


class ModelServer:
    """Model server: `start` returns when every model has an available version, `stop` after the running requests.

    After `start`, `grpc_port` and `rest_port` are the ports that it listens on (0 for none). As a context manager it
    starts and stops. The constructor raises ServingError for a fault in a config file, `start` where a model can't be
    loaded or a port is in use.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._models = self._read_models()
        self._metrics_path = self._read_metrics_path()
        self._batch_parameters = batching.read(config.batching_file) if config.batching_file else batching.BatchingParameters()
        self._metrics = Metrics()
        self._registry, self._statuses = Registry(), VersionStatuses()
        loader = Loader(self._load, _unload)
        lifecycle = Lifecycle(self._registry, self._statuses, loader, retries=config.retries, retry_s=config.retry_s)
        self._manager = ModelManager(
            lifecycle, self._registry, self._statuses, poll_s=config.poll_s, unavailable_labels=config.labels_for_unavailable
        )
        self._batch_threads: BatchThreads | None = None
        self._grpc: grpc.Server | None = None
        self._rest: RestServer | None = None
        self._config_poll: Periodic | None = None
        self.grpc_port = 0
        self.rest_port = 0

    def start(self) -> "ModelServer":
        """Load the models, then listen."""
        if self._config.batching:
            self._batch_threads = BatchThreads(self._batch_parameters)
        self._manager.start()
        try:
            self._manager.reload(self._models)
            self._listen()
        except BaseException:
            self.stop()
            raise
        if self._config.model_config_file and self._config.config_poll_s:
            self._config_poll = Periodic(self._reload_config, seconds=self._config.config_poll_s)
        return self

    def stop(self) -> None:
        """Stop listening and unload; may be called at any time, and twice."""
        if self._config_poll:
            self._config_poll.stop()
        if self._grpc:
            self._grpc.stop(grace=5).wait()
        if self._rest:
            self._rest.stop()
        self._manager.stop()
        if self._batch_threads:
            self._batch_threads.stop()
        self._config_poll = self._grpc = self._rest = self._batch_threads = None

    def __enter__(self) -> "ModelServer":
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _read_models(self) -> models.Models:
        if self._config.model_config_file:
            return models.read(self._config.model_config_file)
        return models.single(self._config.model_name, self._config.model_base_path)

    def _read_metrics_path(self) -> str:
        if self._config.monitoring_file is None:
            return ""
        prometheus = text_protos.read(self._config.monitoring_file, "MonitoringConfig").prometheus_config
        return (prometheus.path or METRICS_PATH) if prometheus.enable else ""

    def _load(self, name: str, version: int, path: Path) -> Runner:
        config = self._config
        model: Runner = LoadedModel(path, tags=config.tags, intra_op=config.intra_op, inter_op=config.inter_op)
        try:
            if self._batch_threads:
                model = BatchingRunner(model, self._batch_threads, self._metrics)
            if config.warmup:
                self._warm_up(path, model)
        except BaseException:
            model.close()
            raise
        trim()
        return model

    def _warm_up(self, path: Path, model: Runner) -> None:
        start, records, status = time.perf_counter(), 0, Code.OK.name
        try:
            records = warm_up(path, model)
        except Exception as error:
            status = from_exception(error).code.name
            raise
        finally:
            self._metrics.warmup_latency.add((time.perf_counter() - start) * 1e6, str(path), status)
            self._metrics.warmup_records.add(records, str(path), status)

    def _listen(self) -> None:
        config = self._config
        options = {"grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1, "grpc.so_reuseport": 0}
        pool = ThreadPoolExecutor(config.grpc_threads, thread_name_prefix="grpc")
        self._grpc = grpc.server(pool, options=list((options | dict(config.channel_arguments)).items()))
        inference = Inference(self._registry, self._metrics, as_content=config.as_content)
        prediction_service.add_PredictionServiceServicer_to_server(PredictionService(inference, self._registry), self._grpc)
        model_service.add_ModelServiceServicer_to_server(ModelService(self._manager, self._statuses), self._grpc)
        if config.health:
            servicer = health.HealthServicer()
            for name in ("", "ModelService", "PredictionService"):
                servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
            health_pb2_grpc.add_HealthServicer_to_server(servicer, self._grpc)
        if config.grpc_port is not None:
            self.grpc_port = self._bind(f"{config.host}:{config.grpc_port}")
        if config.socket_path:
            self._bind(f"unix:{config.socket_path}")
        if config.rest_port is not None:
            api = Api(
                Inference(self._registry, self._metrics, as_content=True),
                self._registry,
                self._statuses,
                self._metrics,
                metrics_path=self._metrics_path,
                cors=config.cors,
                timeout_s=config.rest_timeout_s,
            )
            self._rest = RestServer(api, host=config.host, port=config.rest_port, threads=config.rest_threads)
            self.rest_port = self._rest.port
            self._rest.start()
        self._grpc.start()

    def _bind(self, address: str) -> int:
        assert self._grpc is not None
        try:
            return int(self._grpc.add_insecure_port(address))
        except RuntimeError as error:
            raise ServingError(Code.UNAVAILABLE, f"can't listen on {address}: {error}; is another server there?") from error

    def _reload_config(self) -> None:
        try:
            self._manager.reload(self._read_models())
        except ServingError as error:
            log.error("the model config file is passed over: %s", error.status_text)


def _unload(model: Runner) -> None:
    model.close()
    trim()
