"""Measure how often a reloaded page could reuse its scores, and how much scores change with time.

    python -m benchmarks.serving.reuse RUN [--candidates 50] [--requests 400] [--after-ms 300]

RUN is the folder of a finished `shelfrank run`, whose state and released model are used. A shopper of its log requests
random products, and again `--after-ms` later; meanwhile only other shoppers are active: lists of 20 random products are
shown at some rate, some are clicked. The scores can be reused where all tensors are equal, bit by bit. That is counted
with the exact time, and with the time rounded up to a second as with `--reuse-ms 1000`. Then the same requests a second
apart, with nothing in between: how much scores change.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from components.contract.dataset import Dataset
from components.contract.load import parse_dataset
from pipeline.results.result import read_result
from serving.client.prediction import Endpoint, predict_request
from serving.features.build_tensors import RequestFeatures
from serving.features.catalogue import Catalogue, load_catalogue
from serving.features.events import Changes, ImpressionList, Interaction
from serving.features.request import Inputs, Request
from serving.state import snapshot
from serving.state.interface import plans_of
from serving.state.memory import MemoryStates

RATES = (0, 1, 3, 10, 30, 100)  # lists a second
STEP_US = SECOND_US = 1_000_000
PLACES, CLICKED = 20, 0.1
DOOR = Endpoint("", "serving_default")


def rounded(time_us: int) -> int:
    """Round up to the step."""
    return -(-time_us // STEP_US) * STEP_US


def same(one: Inputs, other: Inputs) -> bool:
    """Whether the model server would be sent the same bytes."""
    return predict_request("shop", one.tensors, (), DOOR) == predict_request("shop", other.tensors, (), DOOR)


def others(states: MemoryStates, changes: Changes, catalogue: Catalogue, *, time_us: int, rng: np.random.Generator) -> None:
    """Another shopper is shown a list, and clicks now and then."""
    items = [catalogue.items.ids[at] for at in rng.choice(len(catalogue.items.ids), PLACES, replace=False)]
    shopper, request = f"other{rng.integers(1 << 40)}", f"r{rng.integers(1 << 40)}"
    events: list[ImpressionList | Interaction] = [ImpressionList(shopper=shopper, request=request, time_us=time_us, items=items)]
    if rng.random() < CLICKED:
        events.append(Interaction(shopper=shopper, action="click", time_us=time_us + 1, item=items[0], request=request))
    for event in events:
        change = changes.from_event(event, now_us=time_us + SECOND_US)
        assert change is not None
        states.record(change)


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--candidates", type=int, default=50)
    parser.add_argument("--requests", type=int, default=400, help="at each rate")
    parser.add_argument("--after-ms", type=float, default=300.0)
    args = parser.parse_args()
    result = read_result(args.run / "last_run.json")
    dataset, state = parse_dataset(result.dataset), Path(result.places["feature state"])
    model = tf.saved_model.load(str(Path(result.places["releases"]) / str(result.release)))
    catalogue, rng = load_catalogue(state, dataset), np.random.default_rng(0)
    console = Console()
    table = Table("lists a second", "same, moment as it is", "same, rounded to 1 s")
    for rate in RATES:
        exact, near = reloads(dataset, catalogue, state, rate=rate, args=args, rng=rng)
        table.add_row(str(rate), f"{exact:.0%}", f"{near:.0%}")
    console.print(f"{args.candidates} of {len(catalogue.items.ids):,} products, asked for again after {args.after_ms:.0f} ms")
    console.print(table)
    apart, moved = a_second_apart(dataset, catalogue, state, model=model, args=args, rng=rng)
    console.print(f"a second later scores differ by {apart:.1e} at most, and {moved:.1%} of {args.requests} orders")


def _states(dataset: Dataset, catalogue: Catalogue, state: Path) -> MemoryStates:
    plans = plans_of(dataset)
    return MemoryStates(plans, catalogue.codes, snapshot.load(state, plans, catalogue.codes))


def _asked(catalogue: Catalogue, shoppers: Sequence[str], *, candidates: int, time_us: int, rng: np.random.Generator) -> Request:
    items = [catalogue.items.ids[at] for at in rng.choice(len(catalogue.items.ids), candidates, replace=False)]
    return Request(shopper=shoppers[int(rng.integers(len(shoppers)))], candidates=items, time_us=time_us)


def _known(states: MemoryStates) -> tuple[Sequence[str], int]:
    """Return the shoppers, and a time after all events of the state."""
    users = states.snapshot().users
    assert users is not None
    return users.keys, int(users.state.last_us.max()) + SECOND_US


def reloads(
    dataset: Dataset, catalogue: Catalogue, state: Path, *, rate: float, args: argparse.Namespace, rng: np.random.Generator
) -> tuple[float, float]:
    """Measure the shares of reloads with equal tensors: at exact times, and at rounded ones."""
    states, changes = _states(dataset, catalogue, state), Changes(dataset, catalogue)
    features, (shoppers, moment) = RequestFeatures(dataset, catalogue, states), _known(states)
    exact = near = 0
    for _ in range(args.requests):
        moment += int(rng.integers(SECOND_US, 2 * SECOND_US))
        first = _asked(catalogue, shoppers, candidates=args.candidates, time_us=moment, rng=rng)
        again = replace(first, time_us=moment + int(args.after_ms * 1e3))
        before = [features.inputs(replace(first, time_us=each(first.time_us))) for each in (int, rounded)]
        for n in range(rng.poisson(rate * args.after_ms / 1e3)):
            others(states, changes, catalogue, time_us=moment + 1 + 2 * n, rng=rng)
        after = [features.inputs(replace(again, time_us=each(again.time_us))) for each in (int, rounded)]
        exact += same(before[0], after[0])
        near += same(before[1], after[1])
    return exact / args.requests, near / args.requests


def a_second_apart(
    dataset: Dataset, catalogue: Catalogue, state: Path, *, model: "tf.Module", args: argparse.Namespace, rng: np.random.Generator
) -> tuple[float, float]:
    """Measure the greatest difference of a score, and the share of orders that differ."""
    states = _states(dataset, catalogue, state)
    features, (shoppers, moment), door = RequestFeatures(dataset, catalogue, states), _known(states), model.signatures["serving_default"]
    apart, moved = 0.0, 0
    for _ in range(args.requests):
        asked = _asked(catalogue, shoppers, candidates=args.candidates, time_us=moment, rng=rng)
        scores = [
            door(**{name: tf.constant(values) for name, values in features.inputs(each).tensors.items()})["scores"].numpy()[0]
            for each in (asked, replace(asked, time_us=moment + SECOND_US))
        ]
        apart = max(apart, float(np.abs(scores[0] - scores[1]).max()))
        moved += np.argsort(-scores[0], kind="stable").tolist() != np.argsort(-scores[1], kind="stable").tolist()
    return apart, moved / args.requests


if __name__ == "__main__":
    main()
