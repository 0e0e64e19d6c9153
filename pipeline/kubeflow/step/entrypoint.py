"""What a step's container runs on Kubeflow: `python -m pipeline.kubeflow.step.entrypoint`, followed by the arguments that TFX's compiler gives.

`pipeline.kubeflow.compile.spec_patches` adds one more argument, the names of the outputs that the component declares: the driver adds others.
It calls the private function that TFX's own container calls, `_run_executor` of TFX 1.21, between the translations of
`pipeline.kubeflow.step.invocation`.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.contract.errors import ShelfRankError
from pipeline.cli.main import exit_code
from pipeline.kubeflow.step.artifact_paths import Places
from pipeline.kubeflow.step.invocation import OUTPUT_NAMES, folders, received, returned
from pipeline.kubeflow.step.termination import write_termination_message
from pipeline.terminal.display import display
from pipeline.terminal.output_capture import quiet
from pipeline.terminal.root_cause import told

_ABOVE = "the lines above"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one step; returns the exit code.

    News of the step goes to standard error, a line each; what TensorFlow, Beam and TFX say is shown only when the step fails, before the
    sentence that says why.
    """
    args, beam_args = _parser().parse_known_args(argv)
    # TensorFlow reads these when it is imported, which is after this.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    step = step_name(args.executor_class_path)
    fault: ShelfRankError | None = None
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with quiet(log) as terminal, display(terminal) as shown:
            shown.begin(step)
            try:
                _run(args, beam_args)
                shown.end("done")
            except Exception as error:
                traceback.print_exc()
                fault = told(error, step=step, log=_ABOVE)
                shown.end("failed")
        if fault is not None:
            _tell(log, fault)
    return 0 if fault is None else exit_code(fault)


def step_name(executor: str) -> str:
    """A step's name for its log, from the path of its executor's class.

    `components.ingest.component.EventExampleGen_Executor` gives EventExampleGen, `tfx.components.statistics_gen.executor.Executor` gives
    StatisticsGen.
    """
    package, *_, name = executor.split(".")[-3:]
    if name.endswith("_Executor"):  # as TFX calls what a decorated function becomes
        return name.removesuffix("_Executor")
    return "".join(word.capitalize() for word in package.split("_"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.kubeflow.step.entrypoint", allow_abbrev=False)
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", required=True)
    parser.add_argument("--json_serialized_inputs_spec_args", required=True)
    parser.add_argument(OUTPUT_NAMES, required=True, dest="output_names", type=json.loads)
    return parser


def _run(args: argparse.Namespace, beam_args: list[str]) -> None:
    # Imported here, so that what these say goes to the log.
    from tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor import _run_executor

    from pipeline.beam.tfx_batching import cut_batches_by_size

    places = Places.here(kept=_kept(args.executor_class_path, beam_args))
    taken = received(
        json.loads(args.json_serialized_invocation_args),
        json.loads(args.json_serialized_inputs_spec_args),
        places,
        output_names=args.output_names,
    )
    for folder in folders(taken):
        Path(folder).mkdir(parents=True, exist_ok=True)
    cut_batches_by_size()
    _run_executor(argparse.Namespace(**vars(args) | {"json_serialized_invocation_args": json.dumps(taken)}), beam_args)
    file = Path(taken["outputs"]["outputFile"])
    made: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(returned(made, places)), encoding="utf-8")


def _kept(executor: str, beam_args: list[str]) -> tuple[str, ...]:
    """Dataflow's workers open `gs://` themselves and never see the pod's folders. Steps that don't use Beam have no workers."""
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.utils.import_utils import import_class_by_path

    on_dataflow = PipelineOptions(beam_args).view_as(StandardOptions).runner == "DataflowRunner"
    return ("gs://",) if on_dataflow and issubclass(import_class_by_path(executor), BaseBeamExecutor) else ()


def _tell(log: Path, fault: ShelfRankError) -> None:
    with log.open(encoding="utf-8", errors="replace") as lines:
        shutil.copyfileobj(lines, sys.stderr)
    print(fault, file=sys.stderr)
    write_termination_message(str(fault).replace(_ABOVE, "the step's log"))


def _leave(code: int) -> None:
    """End at once: threads of TensorFlow's and gRPC's that nobody waits for would otherwise keep a pod alive whose work is done."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _leave(main())
