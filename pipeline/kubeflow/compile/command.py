"""`shelfrank compile`: writes the documents and tells what is in them."""

import json
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from components.contract.load import load_dataset
from pipeline.kubeflow.compile.cluster import Cluster, chosen, load_cluster
from pipeline.results.atomic_write import write_atomically
from pipeline.terminal.console import console, print_json
from pipeline.terminal.output_capture import quiet


def compile_command(args: Namespace) -> None:
    """Compile a dataset file for a cluster, write the file, and print what it holds.

    Raises:
        DatasetFileError: the dataset file can't be read as one.
        ClusterFileError: the cluster file can't, no image is given, or Kubeflow would refuse the outcome.
    """
    load_dataset(args.dataset)  # Its faults are told with their lines, and before TFX is loaded.
    cluster = chosen(
        load_cluster(args.cluster) if args.cluster else Cluster(), image=args.image, trainer_image=args.trainer_image, gpu=args.gpu
    )
    text = Path(args.dataset).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder, quiet(Path(folder) / "log"):
        from pipeline.kubeflow.compile.compile import compile_pipeline
        from pipeline.kubeflow.compile.vertex import job

        compiled = compile_pipeline(text, cluster)
        made = job(compiled, cluster) if args.vertex else compiled.to_yaml()
    out = Path(args.out or ("pipeline.json" if args.vertex else "pipeline.yaml"))
    write_atomically(out, made)
    told = {
        "written": str(out),
        "bytes": len(made.encode()),
        "pipeline": compiled.name,
        "steps": compiled.steps(cluster),
        "parameters": {each.name: {"default": each.default, "about": each.about} for each in compiled.parameters},
    }
    if args.json:
        print_json(told)
    else:
        _show(told, console())


def _show(told: dict[str, Any], screen: Console) -> None:
    screen.print(f"{told['written']}: pipeline {told['pipeline']}, {len(told['steps'])} steps, {told['bytes']:,} bytes", highlight=False)
    steps = Table("step", "image", "memory", "GPU", "cached", box=None, pad_edge=False)
    for name, step in told["steps"].items():
        steps.add_row(name, step["image"], step["memory"] or "", str(step["gpu"] or ""), "yes" if step["cached"] else "no")
    parameters = Table("parameter", "default", "", box=None, pad_edge=False)
    for name, parameter in told["parameters"].items():
        parameters.add_row(name, json.dumps(parameter["default"]), parameter["about"])
    for table in (steps, parameters):
        screen.print()
        screen.print(table, highlight=False)
