"""Run a step in its container on Kubeflow: `python -m pipeline.kubeflow.step.entrypoint`, followed by the arguments
that TFX's compiler writes.

`pipeline.kubeflow.compile.spec_patches` adds the step's name, the names of the outputs that its component declares, as
the driver adds others, and a folder for faults of its input; and leaves Beam's options to the steps that run on Beam.
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

from components.contract.errors import ShelfRankError
from pipeline.kubeflow.step.artifact_paths import ArtifactPaths
from pipeline.kubeflow.step.invocation import FAULTS, OUTPUT_NAMES, STEP, output_folders, to_executor_input, to_executor_output
from pipeline.kubeflow.step.known_fault import read_known_fault, write_known_fault
from pipeline.kubeflow.step.light_imports import import_tfx
from pipeline.kubeflow.step.run_executor import run_executor
from pipeline.kubeflow.step.termination import write_termination_message
from pipeline.terminal.display import display
from pipeline.terminal.exit_code import EXIT_BAD_INPUT, exit_code
from pipeline.terminal.output_capture import captured_output
from pipeline.terminal.root_cause import root_cause

_LOG_TEXT = "the lines above"
_EVALUATOR = "Evaluator"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one step, and return the exit code.

    Progress of the step goes to standard error, a line each; output of TensorFlow, Beam and TFX is shown only when the
    step fails, before the error message.
    """
    args, beam_args = _parser().parse_known_args(argv)
    # TensorFlow reads these when it is imported, which is after this.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    output_file = json.loads(args.json_serialized_invocation_args)["outputs"]["outputFile"]
    fault: ShelfRankError | None = read_known_fault(args.faults, output_file) if args.faults else None
    if fault is not None:
        print(f"[{args.step}] not tried again: the attempt before found this in its input\n{fault}", file=sys.stderr)
        write_termination_message(str(fault))
        return exit_code(fault)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with captured_output(log) as terminal, display(terminal) as progress:
            progress.begin(args.step)
            try:
                _run(args, beam_args)
                progress.end("done")
            except Exception as error:
                traceback.print_exc()
                fault = root_cause(error, step=args.step, log=_LOG_TEXT)
                progress.end("failed")
        if fault is None:
            return 0
        _report_fault(log, fault)
    code = exit_code(fault)
    if args.faults and code == EXIT_BAD_INPUT:
        write_known_fault(args.faults, output_file, fault)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.kubeflow.step.entrypoint", allow_abbrev=False)
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", required=True)
    parser.add_argument("--json_serialized_inputs_spec_args", required=True)
    parser.add_argument(STEP, required=True)
    parser.add_argument(FAULTS)
    parser.add_argument(OUTPUT_NAMES, required=True, dest="output_names", type=json.loads)
    return parser


def _run(args: argparse.Namespace, beam_args: list[str]) -> None:
    # Imported here, so that their output goes to the log.
    kept = kept_schemes(beam_args)
    import_tfx(beam=bool(beam_args), buckets=bool(kept), evaluator=args.step == _EVALUATOR)
    declared = json.loads(args.json_serialized_inputs_spec_args)
    paths = ArtifactPaths.here(kept=kept)
    invocation = json.loads(args.json_serialized_invocation_args)
    executor_input = to_executor_input(invocation, declared, paths, output_names=args.output_names)
    for folder in output_folders(executor_input):
        Path(folder).mkdir(parents=True, exist_ok=True)
    if beam_args:
        from pipeline.beam.tfx_batching import cut_batches_by_size

        cut_batches_by_size()
    executor_output = run_executor(args.executor_class_path, executor_input, declared, beam_args)
    file = Path(executor_input["outputs"]["outputFile"])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(to_executor_output(executor_output, paths)), encoding="utf-8")


def kept_schemes(beam_args: list[str]) -> tuple[str, ...]:
    """Return the schemes that aren't mapped: Dataflow's workers open `gs://`, and can't access the pod's folders."""
    return ("gs://",) if "--runner=DataflowRunner" in beam_args else ()


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
