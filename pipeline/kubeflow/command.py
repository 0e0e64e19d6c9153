"""`shelfrank compile`: writes the documents and tells what is in them."""

import json
import logging
from argparse import Namespace
from pathlib import Path
from typing import Any

from components.contract.load import load_dataset
from pipeline.kubeflow.cluster import Cluster, chosen, load_cluster


def compile_command(args: Namespace) -> None:
    """Compile a dataset file for a cluster, write the file, and print what it holds.

    Raises:
        DatasetFileError: the dataset file can't be read as one.
        ClusterFileError: the cluster file can't, or no image is given.
    """
    load_dataset(args.dataset)  # Its faults are told with their lines, and before TFX is loaded.
    cluster = chosen(
        load_cluster(args.cluster) if args.cluster else Cluster(), image=args.image, trainer_image=args.trainer_image, gpu=args.gpu
    )
    logging.getLogger("absl").setLevel(logging.ERROR)
    from pipeline.kubeflow.compile import compile_pipeline

    compiled = compile_pipeline(Path(args.dataset).read_text(encoding="utf-8"), cluster)
    text = compiled.to_yaml()
    Path(args.out).write_text(text, encoding="utf-8")
    told: dict[str, Any] = {
        "written": args.out,
        "bytes": len(text.encode()),
        "pipeline": compiled.name,
        "steps": compiled.images,
        "parameters": {parameter.name: parameter.default for parameter in compiled.parameters},
    }
    if args.json:
        print(json.dumps(told, indent=2, ensure_ascii=False))
        return
    print(f"{told['written']}: pipeline {told['pipeline']}, {len(compiled.images)} steps, {told['bytes']:,} bytes")
