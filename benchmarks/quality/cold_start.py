"""Measure ranking quality against the truth by the number of known events of the shopper and of the product.

    python -m benchmarks.quality.cold_start RUN [--segment segment] [--json FILE]

RUN is the folder of a `shelfrank run` over a simulated shop (`data`, `releases`, `last_run.json`). Its log is replayed
through the service's own features and state, initially empty; the requests of the test window are ranked by each
method.

- By shopper: the gain in discounted true relevance (log2, the first 10 positions) over random order, as a share of the
  best order's.
- By product: the share of its pairs with the other candidates of a request that are in the order of their true
  relevance.

`count`: the decayed count of clicks of the longest half-life. `lent`: rates with the mean of the 20 nearest products by content for a
prior (docs/cold-start.md), made anew each day.
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

from components.contract.columns import state_columns
from components.contract.dataset import Dataset
from components.contract.features import StateFeature
from components.contract.load import parse_dataset
from components.contract.popularity import popularity_column
from components.state.features import plan_of, state_readers
from components.state.plan import count_index, total_index
from serving.features.build_tensors import RequestFeatures
from serving.features.catalogue import Catalogue, load_catalogue
from serving.features.events import Changes, Interaction, Shown
from serving.features.request import Inputs, Request
from serving.neighbours.content import content_space, content_vectors
from serving.neighbours.nearest import Neighbours, nearest
from serving.neighbours.neighbor_prior import lent_rates, on_evidence
from serving.service.ranking.segment_popularity import SegmentPopularity
from serving.state.interface import plans_of
from serving.state.memory import MemoryStates

BANDS = {"0": 0, "1-2": 2, "3-5": 5, "6-20": 20, "more": np.inf}  # name to the greatest number in it
WAYS = ("model", "model, lent", "segment", "popularity", "popularity, lent", "count", "given")
NEIGHBOURS, EVIDENCE = 20, 20
DAY_US = 86_400_000_000
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


class Lending:
    """What each product is lent, by rate column; of a day's beginning."""

    def __init__(self, dataset: Dataset, catalogue: Catalogue, states: MemoryStates) -> None:
        plan = plan_of(dataset, "item")
        assert plan is not None
        self._states, self._ids = states, catalogue.items.ids
        self._readers = state_readers(dataset, "item")
        rates = [f for f in dataset.state_features if f.side == "item" and f.measure == "rate"]
        self.columns: dict[str, tuple[StateFeature, int]] = {}
        for feature in rates:
            for name, half_life in zip(state_columns(dataset, feature), dataset.half_lives_of(feature), strict=True):
                self.columns[name] = (feature, count_index(plan, str(feature.per), half_life_s=half_life))
        self._shown = total_index(plan, str(rates[0].per))
        values = {
            f.name: [v.decode() if isinstance(v, bytes) else v for v in catalogue.items.columns[f.name][:-1].tolist()]
            for f in dataset.input_features("items", side="item")
        }
        self._vectors = content_vectors(content_space(dataset, values), values)
        self._day, self._lent = -1, dict[str, NDArray[np.float32]]()

    def on(self, name: str, values: NDArray[np.float32], inputs: Inputs, rows: NDArray[np.int64], time_us: int) -> NDArray[np.float32]:
        """A rate column of candidates with the lent rate for a prior."""
        if time_us // DAY_US != self._day:
            self._day = time_us // DAY_US
            self._anew(time_us)
        feature, trials = self.columns[name]
        assert inputs.of_items is not None
        lent = self._lent[name][rows]
        return on_evidence(values, inputs.of_items[:, trials], lent=lent, prior=feature.prior, strength=feature.strength)

    def _anew(self, time_us: int) -> None:
        known = self._states.known("", list(self._ids), time_us).items
        assert known is not None
        lenders = np.flatnonzero(known.values[:, self._shown] >= EVIDENCE)
        closest = nearest(self._vectors[lenders], self._vectors, count=NEIGHBOURS + 1)
        itself = lenders[closest.rows] == np.arange(len(self._ids))[:, None]  # nobody lends himself
        neighbours = Neighbours(closest.rows, np.where(itself, 0, closest.similarity).astype(np.float32))
        for name, (feature, _) in self.columns.items():
            rates = self._readers[name](known.values[lenders])
            self._lent[name] = lent_rates(rates, neighbours, prior=feature.prior)


def moments(log: pl.DataFrame, context: Sequence[str]) -> Iterator[tuple[Shown | Interaction, dict[str, Any]]]:
    """The log's events in their order, with the context of each."""
    for together in log.sort("time", maintain_order=True).partition_by("time", "user_id", maintain_order=True):
        rows = together.to_dicts()
        first = rows[0]
        who = {"shopper": first["user_id"], "request": first["request_id"], "session": first["session_id"], "time_us": first["time"]}
        around = {name: first[name] for name in context}
        if first["action"] == "impression":
            yield Shown(items=[row["item_id"] for row in sorted(rows, key=lambda row: row["position"])], **who), around
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
    popularity, within, lending = popularity_column(dataset), SegmentPopularity(dataset), Lending(dataset, catalogue, states)
    releases = Path(last_run["places"]["releases"])
    model = tf.saved_model.load(str(max(releases.glob("[0-9]*"), key=lambda path: int(path.name)))).signatures["serving_default"]
    log = pl.read_parquet(run / "data/events/*.parquet").with_columns(pl.col("time").cast(pl.Int64))
    truth = pl.read_parquet(run / "data/truth/relevance-*.parquet").select("request_id", "item_id", "relevance")
    relevance = {(request, item): value for request, item, value in truth.iter_rows()}
    times = log["time"].to_numpy()
    begins = float(times.max() - TEST * (times.max() - times.min()))
    context = [f.key for f in dataset.input_features("events") if f.side != "item" and not f.key.startswith("time.")]
    rate = str(popularity)
    assert rate in lending.columns, f"expected products to be popular by a rate, got {rate}"
    plan = plan_of(dataset, "item")
    assert plan is not None
    label = next(iter(dataset.label_gains))
    clicks, count = total_index(plan, label), count_index(plan, label, half_life_s=max(plan.half_lives_s))
    of_shopper, of_product, of_both = Tally(), Tally(), Tally()

    def scored(tensors: Mapping[str, NDArray[Any]]) -> Scores:
        outputs = model(**{name: tf.constant(values) for name, values in tensors.items()})["scores"]
        return np.asarray(outputs.numpy()[0], np.float64)

    for event, around in moments(log, context):
        if isinstance(event, Shown) and event.time_us >= begins:
            asked = Request(
                shopper=event.shopper, candidates=event.items, time_us=event.time_us, session=event.session, request=event.request,
                context=around,
            )  # fmt: skip
            inputs = features.inputs(asked)
            assert inputs.of_items is not None
            length, rows = len(event.items), catalogue.items.rows(event.items)
            lent = {name: lending.on(name, inputs.tensors[name][0], inputs, rows, event.time_us)[None] for name in lending.columns}
            popular = inputs.tensors[str(popularity)][0].astype(np.float64)
            of_segment = within.within(inputs)
            ways = {
                "model": scored(inputs.tensors),
                "model, lent": scored({**inputs.tensors, **lent}),
                "segment": popular if of_segment is None else of_segment,
                "popularity": popular,
                "popularity, lent": lent[rate][0].astype(np.float64),
                "count": inputs.of_items[:, count].astype(np.float64),
                "given": -np.arange(length, dtype=np.float64),
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
        change = changes.of(event, now_us=event.time_us, context=around)
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
