"""Compare training steps per second of this code with another checkout's, alternating in one run.

    python -m benchmarks.training.steps DATASET.yaml --root runs/NAME --other CHECKOUT [--rounds 3] [--epochs 2]

Trains on the examples of a finished run, each round in a process of its own, so that neither uses code compiled by the
other. Prints requests/s of the last epoch (in the first, input is read and the graph traced), the fastest round of
each, and the seconds of the whole training call, including loading, tracing and evaluation.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def trained(dataset_file: str, root: Path, epochs: int) -> dict[str, Any]:
    """Train in this process; return the curve and the seconds."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import tensorflow as tf
    import tensorflow_transform as tft
    import tf_keras as keras

    from benchmarks.quality.split_data import files, newest
    from components.contract.load import load_dataset
    from trainer.config import ranker_config
    from trainer.fit.training import train

    dataset = load_dataset(dataset_file)
    keras.utils.set_random_seed(dataset.seed)
    tf.config.experimental.enable_op_determinism()
    graph = tft.TFTransformOutput(str(newest(root, "Transform/transform_graph")))
    examples = newest(root, "EventExampleGen/examples")
    config = ranker_config(dataset).model_copy(update={"epochs": epochs, "patience": epochs})
    began = time.perf_counter()
    _, curve = train(files(examples, "train"), files(examples, "eval"), graph, dataset=dataset, config=config)
    return {"seconds": time.perf_counter() - began, "curve": curve}


def of_checkout(checkout: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Train in a process that imports the checkout's trainer; this file is the driver of both."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, args.dataset, "--root", str(args.root), "--epochs", str(args.epochs), "--inside"]
    ended = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Print a line for each round, and the best."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", metavar="DATASET.yaml")
    parser.add_argument("--root", type=Path, required=True, help="folder of a finished run")
    parser.add_argument("--other", type=Path, help="checkout to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        print(json.dumps(trained(args.dataset, args.root, args.epochs)))
        return
    fastest: dict[str, float] = {}
    for number in range(args.rounds):
        for name, checkout in (("other", args.other), ("this", ROOT)):
            if checkout is None:
                continue
            result = of_checkout(checkout.resolve(), args)
            speed = float(result["curve"][-1]["requests_per_s"])
            fastest[name] = max(fastest.get(name, 0.0), speed)
            areas = " ".join(f"{row['eval_auc']:.4f}" for row in result["curve"])
            print(f"round {number + 1}, {name}: {speed:,.0f} requests/s, {result['seconds']:.1f} s in all, eval AUC {areas}", flush=True)
    print("fastest: " + ", ".join(f"{name} {speed:,.0f} requests/s" for name, speed in fastest.items()))


if __name__ == "__main__":
    main()
