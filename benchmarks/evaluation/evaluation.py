"""Measure seconds and memory of TFX's Evaluator with ShelfRank's metrics, by the number of impressions.

    python -m benchmarks.evaluation [--impressions 125000 250000 500000] [--work DIR]

Two models, all metrics with standard errors, overall and by four slices (three devices, twelve countries, interactions
so far, categories of the candidates). The models are small: an embedding of the item, the price and the device into a
network of 64 and 32. Each size runs in a process of its own; memory is its peak. Imports aren't in the seconds.

Stock TFX takes 247.6 s on 2 cores for AUC and NDCG alone over 167,000 impressions by three devices
(benchmarks/graph/stock_tfx.py).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

SLICES = [["device"], ["country"], ["interactions"], ["category"]]
CANDIDATES = 11
SHARD = 4_096  # requests
DEVICES, COUNTRIES, CATEGORIES = 3, 12, 12


def write_examples(folder: Path, impressions: int) -> None:
    """Write requests of eleven candidates whose labels depend on the item and the price."""
    import tensorflow as tf

    folder.mkdir(parents=True)
    n, rng = impressions // CANDIDATES, np.random.default_rng(0)
    quality = rng.normal(size=5_000)
    shards = -(-n // SHARD)
    for shard in range(shards):
        requests = range(shard * SHARD, min(n, (shard + 1) * SHARD))
        with tf.io.TFRecordWriter(str(folder / f"part-{shard:05d}-of-{shards:05d}.gz"), "GZIP") as writer:
            for request in requests:
                item, price = rng.integers(0, 5_000, CANDIDATES), rng.random(CANDIDATES)
                label = rng.random(CANDIDATES) < 1 / (1 + np.exp(2.5 + price - quality[item]))
                values: dict[str, Any] = {
                    "request": [b"r%d" % request],
                    "user": [b"u%d" % rng.integers(0, n // 4)],
                    "device": [b"device %d" % rng.integers(0, DEVICES)],
                    "country": [b"C%d" % rng.integers(0, COUNTRIES)],
                    "interactions": [int(rng.geometric(0.2)) - 1],
                    "item": [b"p%d" % i for i in item],
                    "category": [b"category %d" % (i % CATEGORIES) for i in item],
                    "price": price.tolist(),
                    "label": label.astype(float).tolist(),
                }
                writer.write(_example(values).SerializeToString())


def _example(values: dict[str, Any]) -> Any:
    import tensorflow as tf

    lists = {bytes: "bytes_list", int: "int64_list", float: "float_list"}
    example = tf.train.Example()
    for name, elements in values.items():
        getattr(example.features.feature[name], lists[type(elements[0])]).value.extend(elements)
    return example


def write_model(folder: Path, seed: int) -> None:
    """Write a small network with the signature `examples`."""
    import tensorflow as tf

    class Ranker(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            random = tf.random.Generator.from_seed(seed)
            self.items = tf.Variable(random.normal([20_000, 16]))
            sizes = ((18, 64), (64, 32), (32, 1))
            self.layers = [(tf.Variable(random.normal([a, b]) / a**0.5), tf.Variable(tf.zeros([b]))) for a, b in sizes]

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def examples(self, examples: Any) -> dict[str, Any]:
            spec = {"item": tf.io.RaggedFeature(tf.string), "price": tf.io.RaggedFeature(tf.float32)}
            features = tf.io.parse_example(examples, spec | {"device": tf.io.FixedLenFeature([], tf.string)})
            item, device = features["item"], tf.strings.to_hash_bucket_fast(features["device"], 16)
            embedded = tf.gather(self.items, tf.strings.to_hash_bucket_fast(item.flat_values, 20_000))
            on = tf.cast(tf.gather(device, item.value_rowids()), tf.float32)
            hidden = tf.concat([embedded, features["price"].flat_values[:, None], on[:, None] / 16], axis=1)
            for weights, bias in self.layers[:-1]:
                hidden = tf.nn.relu(hidden @ weights + bias)
            logits = (hidden @ self.layers[-1][0] + self.layers[-1][1])[:, 0]
            return {"scores": item.with_flat_values(tf.sigmoid(logits - 2.0)).to_tensor(0.0)}

    module = Ranker()
    tf.saved_model.save(module, str(folder / "Format-Serving"), signatures={"examples": module.examples})


def measure(work: Path, impressions: int) -> dict[str, float]:
    """Measure seconds and memory of one evaluation, in this process."""
    from tfx.types import artifact_utils, standard_artifacts
    from tfx.utils import proto_utils

    from components.contract.dataset import Gates
    from components.evaluation.component import Executor
    from components.evaluation.tfma.eval_config import eval_config
    from pipeline.beam.tfx_batching import cut_batches_by_size
    from pipeline.local.runner import BEAM

    cut_batches_by_size()
    write_examples(work / "examples" / "Split-test", impressions)
    for seed, name in enumerate(("challenger", "champion")):
        write_model(work / name, seed)
    bands = {"interactions": (1.0, 3.0, 10.0)}
    config = eval_config(SLICES, Gates(), gains={"label": 1.0}, bands=bands, item_slices=["category"])
    examples, evaluation, blessing = standard_artifacts.Examples(), standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing()
    model, champion = standard_artifacts.Model(), standard_artifacts.Model()
    for artifact, name in ((examples, "examples"), (model, "challenger"), (champion, "champion")):
        artifact.uri = str(work / name)
    examples.split_names = artifact_utils.encode_split_names(["test"])
    evaluation.uri, blessing.uri = str(work / "evaluation"), str(work / "blessing")
    before, began, worked = _most_held_mb(), time.perf_counter(), time.process_time()
    Executor(Executor.Context(beam_pipeline_args=list(BEAM.steps), tmp_dir=str(work / "tmp"), unique_id="1")).Do(
        {"examples": [examples], "model": [model], "baseline_model": [champion]},
        {"evaluation": [evaluation], "blessing": [blessing]},
        {
            "eval_config": proto_utils.proto_to_json(config),
            "example_splits": json.dumps(["test"]),
            "module_path": "components.evaluation.tfma.steps",
        },
    )
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - worked
    return {"impressions": impressions, "seconds": seconds, "cpu_s": cpu_s, "before_mb": before, "most_mb": _most_held_mb()}


def _most_held_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure each size and print the table."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--impressions", type=int, nargs="+", default=[125_000, 250_000, 500_000])
    parser.add_argument("--work", type=Path, help="folder to work in (default: a temporary one)")
    parser.add_argument("--alone", action="store_true", help="measure the first size in this process and print it as JSON")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.work) as temporary:
        if args.alone:
            print(json.dumps(measure(Path(temporary), args.impressions[0])))
            return
        table = Table(title="Evaluator with two models, all metrics and standard errors, four slices")
        for column in ("impressions", "s", "CPU s", "impressions/s", "MB before", "MB at most"):
            table.add_column(column, justify="right")
        environment = os.environ | {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        for impressions in args.impressions:
            command = [
                sys.executable,
                "-m",
                "benchmarks.evaluation.evaluation",
                "--alone",
                "--impressions",
                str(impressions),
                "--work",
                temporary,
            ]
            output = subprocess.run(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
            ).stdout
            measured = json.loads(output.splitlines()[-1])
            measured["rate"] = impressions / measured["seconds"]
            shown = (("seconds", ".1f"), ("cpu_s", ".1f"), ("rate", ",.0f"), ("before_mb", ",.0f"), ("most_mb", ",.0f"))
            table.add_row(f"{impressions:,}", *(format(measured[name], as_text) for name, as_text in shown))
        Console().print(table)


if __name__ == "__main__":
    main()
