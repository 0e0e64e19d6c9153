"""Run a step in its container on Kubeflow: `python -m pipeline.kubeflow.step.entrypoint`, followed by the arguments
that TFX's compiler writes.

`pipeline.kubeflow.compile.spec_patches` adds one argument, the names of the outputs that the component declares:
the driver adds others. It calls the private function that TFX's own container calls, `_run_executor` of TFX 1.21,
between the translations of `pipeline.kubeflow.step.invocation`.
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
from pipeline.kubeflow.step.artifact_paths import ArtifactPaths
from pipeline.kubeflow.step.invocation import OUTPUT_NAMES, output_folders, to_executor_input, to_executor_output
from pipeline.kubeflow.step.termination import write_termination_message
from pipeline.terminal.display import display
from pipeline.terminal.exit_code import exit_code
from pipeline.terminal.output_capture import captured_output
from pipeline.terminal.root_cause import root_cause

_LOG_TEXT = "the lines above"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one step, and return the exit code.

    Progress of the step goes to standard error, a line each; output of TensorFlow, Beam and TFX is shown only when the
    step fails, before the error message.
    """
    args, beam_args = _parser().parse_known_args(argv)
    # TensorFlow reads these when it is imported, which is after this.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    step = step_name(args.executor_class_path)
    fault: ShelfRankError | None = None
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with captured_output(log) as terminal, display(terminal) as progress:
            progress.begin(step)
            try:
                _run(args, beam_args)
                progress.end("done")
            except Exception as error:
                traceback.print_exc()
                fault = root_cause(error, step=step, log=_LOG_TEXT)
                progress.end("failed")
        if fault is not None:
            _report_fault(log, fault)
    return 0 if fault is None else exit_code(fault)


def step_name(executor: str) -> str:
    """Return a step's name for its log, from the path of its executor's class.

    `components.ingest.component.EventExampleGen_Executor` gives EventExampleGen,
    `components.statistics_gen.component.Executor` gives StatisticsGen.
    """
    package, *_, name = executor.split(".")[-3:]
    if name.endswith("_Executor"):  # TFX's name for the executor of a decorated function
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
    # Imported here, so that their output goes to the log.
    from tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor import _run_executor

    from pipeline.beam.tfx_batching import cut_batches_by_size

    paths = ArtifactPaths.here(kept=_kept_schemes(args.executor_class_path, beam_args))
    executor_input = to_executor_input(
        json.loads(args.json_serialized_invocation_args),
        json.loads(args.json_serialized_inputs_spec_args),
        paths,
        output_names=args.output_names,
    )
    for folder in output_folders(executor_input):
        Path(folder).mkdir(parents=True, exist_ok=True)
    cut_batches_by_size()
    _run_executor(argparse.Namespace(**vars(args) | {"json_serialized_invocation_args": json.dumps(executor_input)}), beam_args)
    file = Path(executor_input["outputs"]["outputFile"])
    executor_output: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(to_executor_output(executor_output, paths)), encoding="utf-8")


def _kept_schemes(executor: str, beam_args: list[str]) -> tuple[str, ...]:
    """Return the schemes that aren't mapped: Dataflow's workers open `gs://`, and can't access the pod's folders."""
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.utils.import_utils import import_class_by_path

    on_dataflow = PipelineOptions(beam_args).view_as(StandardOptions).runner == "DataflowRunner"
    return ("gs://",) if on_dataflow and issubclass(import_class_by_path(executor), BaseBeamExecutor) else ()


def _report_fault(log: Path, fault: ShelfRankError) -> None:
    with log.open(encoding="utf-8", errors="replace") as lines:
        shutil.copyfileobj(lines, sys.stderr)
    print(fault, file=sys.stderr)
    write_termination_message(str(fault).replace(_LOG_TEXT, "the step's log"))


def _exit_now(code: int) -> None:
    """Exit at once: background threads of TensorFlow and gRPC would keep the pod alive after its work is done."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _exit_now(main())
