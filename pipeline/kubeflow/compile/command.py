"""Compile a pipeline, write its documents and summarize them: `shelfrank compile`."""

import json
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from components.contract.load import load_dataset
from pipeline.kubeflow.compile.cluster import Cluster, load_cluster, with_overrides
from pipeline.results.atomic_write import write_atomically
from pipeline.terminal.console import console, print_json
from pipeline.terminal.output_capture import captured_output


def compile_command(args: Namespace) -> None:
    """Compile a dataset file for a cluster, write the file, and print its summary.

    Raises:
        DatasetFileError: the dataset file is invalid.
        ClusterFileError: the cluster file is invalid, there is no image, or Kubeflow would refuse the pipeline.
    """
    load_dataset(args.dataset)  # Report its faults before TFX is loaded.
    cluster = with_overrides(
        load_cluster(args.cluster) if args.cluster else Cluster(), image=args.image, trainer_image=args.trainer_image, gpu=args.gpu
    )
    text = Path(args.dataset).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder, captured_output(Path(folder) / "log"):
        from pipeline.kubeflow.compile.compile import compile_pipeline
        from pipeline.kubeflow.compile.vertex import job

        compiled = compile_pipeline(text, cluster)
        document = job(compiled, cluster) if args.vertex else compiled.to_yaml()
    out = Path(args.out or ("pipeline.json" if args.vertex else "pipeline.yaml"))
    write_atomically(out, document)
    summary = {
        "written": str(out),
        "bytes": len(document.encode()),
        "pipeline": compiled.name,
        "steps": compiled.steps(cluster),
        "parameters": {each.name: {"default": each.default, "about": each.about} for each in compiled.parameters},
    }
    if args.json:
        print_json(summary)
    else:
        _show(summary, console())


def _show(summary: dict[str, Any], terminal: Console) -> None:
    heading = f"{summary['written']}: pipeline {summary['pipeline']}, {len(summary['steps'])} steps, {summary['bytes']:,} bytes"
    terminal.print(heading, highlight=False)
    steps = Table("step", "image", "memory", "GPU", "cached", box=None, pad_edge=False)
    for name, step in summary["steps"].items():
        steps.add_row(name, step["image"], step["memory"] or "", str(step["gpu"] or ""), "yes" if step["cached"] else "no")
    parameters = Table("parameter", "default", "", box=None, pad_edge=False)
    for name, parameter in summary["parameters"].items():
        parameters.add_row(name, json.dumps(parameter["default"]), parameter["about"])
    for table in (steps, parameters):
        terminal.print()
        terminal.print(table, highlight=False)
