"""Start workers for a Beam runner, each a fork of one process that has imported what the steps need.

    python -m pipeline.beam.worker_pool [--port 50000] [--import MODULE ...]

It takes the place of Beam's own pool (`apache_beam.runners.worker.worker_pool_main`), which starts a Python for each
worker: three seconds of imports for ingestion and eight for the steps with TensorFlow, in every worker of every job.
Requests wait until the imports are done. These start no thread that holds a lock, so that forks are safe.
"""

import argparse
import logging
import signal
import sys
import traceback
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from types import FrameType

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.runners.worker.sdk_worker import SdkHarness

from components.contract.errors import RunError

INGESTION = ("components.ingest.steps_grouped", "components.ingest.report")
ALL_STEPS = (
    *INGESTION,
    "tfx.components.statistics_gen.executor",
    "tfx.components.transform.executor",
    "tfx.components.evaluator.executor",
    "components.evaluation.tfma.steps",
    "trainer.preprocess",
)
_STOP_S = 10.0
_LOGGER = logging.getLogger(__name__)


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Fork a worker at each request; one method at a time."""

    def __init__(self) -> None:
        self._workers: dict[str, ForkServerProcess] = {}
        self._context = get_context("forkserver")

    def import_modules(self, modules: Sequence[str]) -> None:
        """Import what workers are to have when they start; the rest they import themselves.

        Raises:
            RunError: one of them can't be imported.
        """
        self._context.set_forkserver_preload(list(modules))
        # The server of forks imports at the first fork, and keeps silent about what it can't import.
        first = self._context.Process(target=_import, args=(modules,))
        first.start()
        first.join()
        if first.exitcode:
            raise RunError(f"workers can't import all of {', '.join(modules)}; the reason is above")

    def StartWorker(  # noqa: N802, gRPC's name
        self, request: beam_fn_api_pb2.StartWorkerRequest, context: grpc.ServicerContext
    ) -> beam_fn_api_pb2.StartWorkerResponse:
        """Start a worker that connects to the runner."""
        del context
        self._workers = {name: worker for name, worker in self._workers.items() if worker.is_alive()}
        try:
            worker = self._context.Process(target=_work, args=(request.worker_id, request.control_endpoint.url), daemon=True)
            worker.start()
        except Exception:  # the runner reports it
            return beam_fn_api_pb2.StartWorkerResponse(error=traceback.format_exc())
        _LOGGER.info("Started worker %s as process %d", request.worker_id, worker.pid)
        self._workers[request.worker_id] = worker
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(  # noqa: N802, gRPC's name
        self, request: beam_fn_api_pb2.StopWorkerRequest, context: grpc.ServicerContext
    ) -> beam_fn_api_pb2.StopWorkerResponse:
        """End a worker."""
        del context
        worker = self._workers.pop(request.worker_id, None)
        if worker is not None:
            worker.terminate()
            worker.join(_STOP_S)
            worker.kill()
            _LOGGER.info("Stopped worker %s", request.worker_id)
        return beam_fn_api_pb2.StopWorkerResponse()


def _import(modules: Iterable[str]) -> None:
    for module in modules:
        import_module(module)


def _work(worker_id: str, control: str) -> None:
    """Work until the runner closes the connection; settings as of Beam's own pool."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    SdkHarness(control, worker_id=worker_id, state_cache_size=0, data_buffer_time_limit_ms=-1).run()


def main() -> None:
    """Serve until a signal comes; the workers end with it."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=50000)
    parser.add_argument("--import", dest="modules", nargs="*", default=ALL_STEPS, metavar="MODULE", help="default: what all steps need")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    signal.signal(signal.SIGTERM, _exit)
    pool, thread = WorkerPool(), ThreadPoolExecutor(max_workers=1)
    imported = thread.submit(pool.import_modules, args.modules)
    server = grpc.server(thread)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.add_insecure_port(f"[::]:{args.port}")
    server.start()
    _LOGGER.info("Listening at port %d", args.port)
    try:
        imported.result()
        server.wait_for_termination()
    except KeyboardInterrupt:
        server.stop(None)


def _exit(number: int, frame: FrameType | None) -> None:
    del frame
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
