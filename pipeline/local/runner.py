"""Run a compiled pipeline on this machine by TFX's local runner, and display each step."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_metadata.proto.metadata_store_pb2 import ConnectionConfig
from tfx.dsl.compiler.constants import PIPELINE_RUN_ID_PARAMETER_NAME
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable.runtime_parameter_utils import substitute_runtime_parameter
from tfx.proto.orchestration import pipeline_pb2

from components.contract.errors import RunError
from pipeline.beam.preset_options import Local
from pipeline.beam.presets import beam_args
from pipeline.beam.tfx_batching import cut_batches_by_size
from pipeline.results.metadata import Output, step_record
from pipeline.terminal.display import Display, State
from pipeline.terminal.root_cause import root_cause

# A block being processed takes some hundred megabytes; its compiled loops run without the interpreter lock.
BEAM = beam_args(Local(threads=min(4, os.cpu_count() or 1)))

_STATES: dict[str, State] = {"COMPLETE": "done", "CACHED": "cached"}


@dataclass(frozen=True)
class Step:
    """A step that succeeded."""

    name: str
    state: State
    seconds: float
    outputs: dict[str, Output]


def run_locally(pipeline: Pipeline, *, store: ConnectionConfig, run_id: str, log: Path, progress: Display) -> tuple[Step, ...]:
    """Run all steps; a step whose inputs, parameters and code equal an earlier run's comes from the cache.

    Raises:
        InputError: a step rejected the data.
        RunError: a step failed; the text has its name, the cause and the log's path.
    """
    cut_batches_by_size()
    runner = _Runner(store=store, run_id=run_id, log=log, progress=progress)
    runner.run(pipeline)
    return tuple(runner.steps)


class _Runner(LocalDagRunner):
    """TFX's runner, called with one step at a time, all under one run id of the metadata store."""

    def __init__(self, *, store: ConnectionConfig, run_id: str, log: Path, progress: Display) -> None:
        super().__init__()
        self._store, self._run_id, self._log, self._progress = store, run_id, log, progress
        self.steps: list[Step] = []

    def run_with_ir(self, pipeline: pipeline_pb2.Pipeline, run_options: Any = None) -> None:
        """Run the steps of a compiled pipeline."""
        substitute_runtime_parameter(pipeline, {PIPELINE_RUN_ID_PARAMETER_NAME: self._run_id})
        for node in pipeline.nodes:
            single = pipeline_pb2.Pipeline()
            single.CopyFrom(pipeline)
            del single.nodes[:]
            single.nodes.append(node)
            self._step(node.pipeline_node.node_info.id, single, run_options)

    def _step(self, name: str, single: pipeline_pb2.Pipeline, run_options: Any) -> None:
        began = time.perf_counter()
        self._progress.begin(name)
        try:
            super().run_with_ir(single, run_options)
            record = step_record(self._store, self._run_id, name)
            # TFX goes on when a step's inputs can't be found, and records that only in the store.
            if record is None or record.state not in _STATES:
                raise RunError("its inputs weren't there")
        except Exception as error:
            self._progress.end("failed")
            raise root_cause(error, step=name, log=str(self._log)) from error
        state = _STATES[record.state]
        self._progress.end(state)
        self.steps.append(Step(name, state, time.perf_counter() - began, record.outputs))
