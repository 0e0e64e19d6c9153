"""Measure the time from a click in the log to changed weights in the model server, by `shelfrank refresh`.

    shelfrank run DATASET.yaml --data SHOP --root ROOT
    python -m benchmarks.training.fresh_weights DATASET.yaml --data SHOP --root ROOT [--appended 2h] [--json FILE]

SHOP's events are Parquet files with the dataset file's time column. A copy of the log ends --appended before its end,
and a model server serves ROOT's newest release. Then the rest of the log is written as one more file, and the clock
starts: `shelfrank refresh` reads the log, trains, compares, builds and publishes; the server finds the new version,
loads it and answers a recorded request with it, with other scores. A label is complete once its attribution window has
passed, so the youngest click that is learnt from is older than the end of the log by that.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import polars as pl
import tensorflow as tf
from rich.console import Console
from rich.table import Table
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from benchmarks.quality.split_data import arguments, files, newest
from benchmarks.serving.model_server import SCORES, serving
from components.contract.base_model import seconds
from components.contract.dataset import Dataset
from components.contract.load import parse_dataset
from serving.model_server.inference.tensors import to_array

_POLL_S = 0.05


def split_log(shop: Path, folder: Path, dataset: Dataset, *, appended_s: float) -> tuple[pl.DataFrame, Path]:
    """Copy a shop without the end of its log; return that end, and the path of the file that it is to be written to."""
    shutil.copytree(shop, folder, ignore=shutil.ignore_patterns("events", "truth"))
    (folder / "events").mkdir()
    column = str(dataset.events[0].columns.time)
    log = pl.read_parquet(shop / "events" / "*.parquet")
    late = pl.col(column) >= log[column].max() - pl.duration(seconds=appended_s)
    log.filter(~late).write_parquet(folder / "events" / "part-0.parquet")
    return log.filter(late), folder / "events" / "part-1.parquet"


def score(stub: Any, record: bytes) -> tuple[int, np.ndarray[Any, Any]]:
    """Score a serialized request; return the version that answered, and the scores."""
    message = predict_pb2.PredictRequest()
    message.model_spec.name, message.model_spec.signature_name = "default", "examples"
    message.inputs["examples"].CopyFrom(tf.make_tensor_proto([record]))
    answer = stub.Predict(message, timeout=60)
    return answer.model_spec.version.value, to_array(answer.outputs[SCORES])


def measure(args: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Refresh the release once."""
    dataset = parse_dataset(Path(args.dataset).read_text(encoding="utf-8"))
    record = next(iter(tf.data.TFRecordDataset(files(newest(args.root, "EventExampleGen/examples"), "test")).as_numpy_iterator()))
    end, file = split_log(args.data, work / "shop", dataset, appended_s=args.appended)
    command = ["-m", "pipeline.cli", "refresh", args.dataset, "--data", str(work / "shop"), "--root", str(args.root), "--json"]
    with serving(args.root / "releases") as (address, _), grpc.insecure_channel(address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        version, before = score(stub, record)
        end.write_parquet(file)
        began = time.perf_counter()
        result: dict[str, Any] = json.loads(subprocess.run([sys.executable, *command], check=True, stdout=subprocess.PIPE).stdout)
        refreshed = time.perf_counter() - began
        while (answered := score(stub, record))[0] == version:
            time.sleep(_POLL_S)
        total = time.perf_counter() - began
    assert answered[0] == result["release"], "the server answers with the refreshed release"
    stages = result["seconds"] | {"start of the command": refreshed - sum(result["seconds"].values()), "model server": total - refreshed}
    return result | {
        "appended_events": len(end),
        "seconds": stages | {"all": total},
        "greatest change of a score": float(np.abs(answered[1] - before).max()),
    }


def main() -> None:
    """Print the stages."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the shop")
    parser.add_argument("--appended", type=seconds, default=7200.0, help="length of the log's end that is written last (default: 2h)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fresh_weights_") as work:
        result = measure(args, Path(work))
    table = Table(
        "stage",
        "s",
        title=f"{result['appended_events']:,} events appended, {result['new_requests']:,} requests new to release {result['base']}",
    )
    for name, took in result["seconds"].items():
        table.add_row(name, f"{took:.1f}")
    console = Console(width=150)
    console.print(table)
    console.print(f"{result['sentence']}; {result['rows']:,} rows changed, delta of {result['delta_bytes'] / 1e6:.2f} MB")
    console.print(f"greatest change of a score of one request: {result['greatest change of a score']:.4f}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
