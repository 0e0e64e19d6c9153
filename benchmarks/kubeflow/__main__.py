"""Measure what each step's container imports: `python -m benchmarks.kubeflow`.

Each step's process is started twice and ended where its executor would begin: as TFX's own container imports, and as
ShelfRank's. `--largest STEP` prints the packages that take the most of it (`python -X importtime`).
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from pipeline.kubeflow.compile.cluster import parse_cluster
from pipeline.kubeflow.compile.compile import compile_pipeline
from pipeline.kubeflow.compile.package import topological_order
from pipeline.kubeflow.compile.spec_patches import containers

_TFX = """
import tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor
import pipeline.kubeflow.step.entrypoint
"""
_LIGHT = """
import pipeline.kubeflow.step.entrypoint
from pipeline.kubeflow.step.light_imports import import_tfx
import_tfx(beam={beam}, buckets=False, evaluator={evaluator})
import kfp.pipeline_spec.pipeline_spec_pb2
import tfx.orchestration.kubeflow.v2.container.kubeflow_v2_entrypoint_utils
import tfx.orchestration.portable.outputs_utils
"""
_END = """
import resource
from tfx.utils.import_utils import import_class_by_path
import_class_by_path({executor!r})
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime)
"""
_LARGEST = 15
_ENVIRONMENT = os.environ | {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}  # as the entrypoint sets it


def main() -> None:
    """Print a table, or the largest imports of one step."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kubeflow", description=__doc__)
    parser.add_argument("--largest", metavar="STEP", help="packages of this step alone, by their time")
    wanted = parser.parse_args().largest
    text = Path("examples/simulated_shop.yaml").read_text(encoding="utf-8")
    spec = compile_pipeline(text, parse_cluster("images: {pipeline: shelfrank/pipeline:0.1.0}")).spec
    steps = {}
    for name, container in containers(spec):
        light = _LIGHT.format(beam=any(each.startswith("--runner=") for each in container["args"]), evaluator=name == "Evaluator")
        steps[name] = (light, _END.format(executor=container["args"][1]))
    if wanted:
        _print_largest("".join(steps[wanted]))
        return
    print("| step | TFX's container, s of processor | ShelfRank's |\n|---|---|---|")
    sums = [0.0, 0.0]
    for name in topological_order(spec["root"]["dag"]["tasks"]):
        light, end = steps[name]
        whole, less = _measure(_TFX + end), _measure(light + end)
        sums = [sums[0] + whole, sums[1] + less]
        print(f"| {name} | {whole:.1f} | {less:.1f} |", flush=True)
    print(f"| all | {sums[0]:.0f} | {sums[1]:.0f} |")


def _measure(code: str) -> float:
    """Return the least seconds of processor of three processes."""
    return min(float(_run("-c", code).stdout.strip().splitlines()[-1]) for _ in range(3))


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], env=_ENVIRONMENT, capture_output=True, text=True, check=True)


def _print_largest(code: str) -> None:
    report = _run("-X", "importtime", "-c", code).stderr
    rows = re.findall(r"^import time:\s+\d+ \|\s+(\d+) \|\s+([\w.]+)$", report, flags=re.MULTILINE)
    for microseconds, package in sorted(rows, key=lambda row: -int(row[0]))[:_LARGEST]:
        print(f"{int(microseconds) / 1e6:6.2f} s  {package}")


if __name__ == "__main__":
    main()
