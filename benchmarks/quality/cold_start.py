"""Measure ranking quality against the truth by the number of known events of the shopper and of the product.

    python -m benchmarks.quality.cold_start RUN [--segment segment] [--json FILE]

RUN is the folder of a `shelfrank run` over a simulated shop (`data`, `releases`, `last_run.json`). Its log is replayed
through the service's own features and state, initially empty; the requests of the test window are ranked by each
method.

- By shopper: the gain in discounted true relevance (log2, the first 10 positions) over random order, as a share of the
  best order's.
- By product: the share of its pairs with the other candidates of a request that are in the order of their true
  relevance.

`count`: the decayed count of clicks of the longest half-life.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import tensorflow as tf
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from components.contract.load import parse_dataset
from components.contract.popularity import popularity_column
from components.state.features import plan_of
from components.state.plan import count_index, total_index
from serving.features.build_tensors import RequestFeatures
from serving.features.catalogue import load_catalogue
from serving.features.events import Changes, ImpressionList, Interaction
from serving.features.request import Request
from serving.service.ranking.segment_popularity import SegmentPopularity
from serving.state.interface import plans_of
from serving.state.memory import MemoryStates

BANDS = {"0": 0, "1-2": 2, "3-5": 5, "6-20": 20, "more": np.inf}  # name to the greatest number in it
WAYS = ("model", "segment", "popularity", "count", "given")
TEST = 0.15

Scores = NDArray[np.float64]


@dataclass
class Tally:
    """Sums by method and band."""

    got: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def mean(self, way: str, band: str) -> str:
        """Return the mean and its standard error."""
        scores = np.array(self.got[way, band])
        return f"{scores.mean():.3f} ± {scores.std() / np.sqrt(max(len(scores), 1)):.3f}" if len(scores) else ""


def moments(log: pl.DataFrame, context: Sequence[str]) -> Iterator[tuple[ImpressionList | Interaction, dict[str, Any]]]:
    """The log's events in their order, with the context of each."""
    for together in log.sort("time", maintain_order=True).partition_by("time", "user_id", maintain_order=True):
        rows = together.to_dicts()
        first = rows[0]
        who = {"shopper": first["user_id"], "request": first["request_id"], "session": first["session_id"], "time_us": first["time"]}
        around = {name: first[name] for name in context}
        if first["action"] == "impression":
            yield ImpressionList(items=[row["item_id"] for row in sorted(rows, key=lambda row: row["position"])], **who), around
        else:
            yield Interaction(action=first["action"], item=first["item_id"] or "", **who), around


def gained(scores: Scores, relevance: Scores) -> float:
    """Compute the gain in discounted relevance over random order as a share of the best order's; NaN if all equal."""
    discount = 1 / np.log2(np.arange(2, min(len(scores), 10) + 2))
    chance = relevance.mean() * discount.sum()
    first = len(discount)
    best = np.sort(relevance)[::-1][:first] @ discount
    return float((relevance[np.argsort(-scores, kind="stable")][:first] @ discount - chance) / (best - chance)) if best > chance else np.nan


def pairs(scores: Scores, relevance: Scores) -> Scores:
    """Compute for each candidate [L] the share of the others on the correct side of it; ties count one half."""
    right = np.sign(scores[:, None] - scores) * np.sign(relevance[:, None] - relevance)
    return np.asarray((right + 1).sum(axis=1) - 1) / 2 / max(len(scores) - 1, 1)


def band(number: float) -> str:
    """Return the name of a number's band."""
    return next(name for name, most in BANDS.items() if number <= most)


def measured(run: Path, segment: str) -> tuple[Tally, Tally, Tally]:
    """Measure by shopper, by product, and by product where both are new."""
    last_run = json.loads((run / "last_run.json").read_text())
    dataset = parse_dataset(f"{last_run['dataset']}\nserving: {{segment: {segment}}}\n")
    catalogue = load_catalogue(Path(last_run["places"]["feature state"]), dataset)
    states = MemoryStates(plans_of(dataset), catalogue.codes)
    features, changes = RequestFeatures(dataset, catalogue, states), Changes(dataset, catalogue)
    popularity, within = str(popularity_column(dataset)), SegmentPopularity(dataset)
    releases = Path(last_run["places"]["releases"])
    model = tf.saved_model.load(str(max(releases.glob("[0-9]*"), key=lambda path: int(path.name)))).signatures["serving_default"]
    log = pl.read_parquet(run / "data/events/*.parquet").with_columns(pl.col("time").cast(pl.Int64))
    truth = pl.read_parquet(run / "data/truth/relevance-*.parquet").select("request_id", "item_id", "relevance")
    relevance = {(request, item): value for request, item, value in truth.iter_rows()}
    times = log["time"].to_numpy()
    begins = float(times.max() - TEST * (times.max() - times.min()))
    context = [f.key for f in dataset.input_features("events") if f.side != "item" and not f.from_clock]
    plan = plan_of(dataset, "item")
    assert plan is not None
    label = next(iter(dataset.label_gains))
    clicks, count = total_index(plan, label), count_index(plan, label, half_life_s=max(plan.half_lives_s))
    of_shopper, of_product, of_both = Tally(), Tally(), Tally()

    def scored(tensors: Mapping[str, NDArray[Any]]) -> Scores:
        outputs = model(**{name: tf.constant(values) for name, values in tensors.items()})["scores"]
        return np.asarray(outputs.numpy()[0], np.float64)

    for event, around in moments(log, context):
        if isinstance(event, ImpressionList) and event.time_us >= begins:
            asked = Request(
                shopper=event.shopper, candidates=event.items, time_us=event.time_us, session=event.session, request=event.request,
                context=around,
            )  # fmt: skip
            inputs = features.inputs(asked)
            assert inputs.of_items is not None
            popular = inputs.tensors[popularity][0].astype(np.float64)
            of_segment = within.within(inputs)
            ways = {
                "model": scored(inputs.tensors),
                "segment": popular if of_segment is None else of_segment,
                "popularity": popular,
                "count": inputs.of_items[:, count].astype(np.float64),
                "given": -np.arange(len(event.items), dtype=np.float64),
            }
            true = np.array([relevance[event.request, item] for item in event.items], np.float64)
            known = [band(number) for number in inputs.of_items[:, clicks].tolist()]
            for way, scores in ways.items():
                share = gained(scores, true)
                if not np.isnan(share):
                    of_shopper.got[way, band(inputs.interactions)].append(share)
                    of_shopper.got[way, "all"].append(share)
                for name, right in zip(known, pairs(scores, true).tolist(), strict=True):
                    of_product.got[way, name].append(right)
                    of_product.got[way, "all"].append(right)
                    if inputs.interactions <= BANDS["1-2"] and name in ("0", "1-2"):
                        of_both.got[way, "both at most 2"].append(right)
        change = changes.from_event(event, now_us=event.time_us, context=around)
        if change is not None:
            states.record(change)
    return of_shopper, of_product, of_both


def main(arguments: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Cold start by number of interactions so far.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--segment", default="segment", help="feature of the context or the shopper (%(default)s)")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    tallies = measured(args.run, args.segment)
    written = []
    for title, tally in zip(("shopper's interactions", "product's clicks", "both"), tallies, strict=True):
        bands = ("both at most 2",) if title == "both" else (*BANDS, "all")
        table = Table(title, "number", *WAYS)
        for name in bands:
            number = len(tally.got["model", name])
            cells = {way: tally.mean(way, name) for way in WAYS}
            table.add_row(name, f"{number:,}", *cells.values())
            written.append({"by": title, "band": name, "number": number, **cells})
        Console(width=170).print(table)
    if args.json:
        args.json.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
