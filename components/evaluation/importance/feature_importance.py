"""Permutation feature importance: how much worse a model ranks when a feature says nothing of the request or candidate at hand.

    drop of a metric = its value on the requests - mean over the permutations of its value with the feature permuted (`permutation`)

(Breiman 2001, "Random forests", section 10; Fisher, Rudin and Dominici 2019, "All models are wrong, but many are useful"). Permuted is the
input of the exported model, so the drop is of the very model that is released. Intervals are those of the bootstrap over shoppers, both
values of a drop in the same replicates. Each request is permuted by a draw of its own, so the luck of the draw is in the interval too.

What it doesn't tell: two features that say the same stand in for one another, and both drops are small; a permuted value may go with the
rest of a request as no real one does. The drop of a number holds that of the list-relative features which compare it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.contract.columns import gain_amounts, gains
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.evaluation.importance.permutation import held_against_another_list, permuted, subjects
from components.evaluation.metrics.arrow_columns import candidate_values, shoppers
from components.evaluation.metrics.bootstrap import standard_error
from components.evaluation.metrics.intervals import half_width
from components.evaluation.metrics.metric_accumulator import RankingSums, Requests, gains_from, request_sums

PERMUTATIONS = 2
LIST_PERMUTATIONS = 1  # each costs as much as `permutation.LIST_COPIES` others, and scores every candidate
METRICS = ("auc", "ndcg_at_10")
FILE = "importance.json"

Scores = Callable[[pa.RecordBatch, NDArray[np.int64]], NDArray[np.float32]]
"""A block of requests and how many candidates each has [R], to the scores of these, one after the other [N]."""


@dataclass(frozen=True, slots=True)
class Drop:
    """How far a metric falls, and half of its 95 % interval; None where it isn't defined."""

    value: float | None
    margin: float | None


@dataclass(frozen=True, slots=True)
class FeatureDrops:
    """What the model loses with a feature, by metric."""

    feature: str
    drops: Mapping[str, Drop]


@dataclass(frozen=True, slots=True)
class Importance:
    """The drops of all features of the dataset file, in its order, on a sample of requests."""

    requests: int
    candidates: int
    permutations: int
    features: tuple[FeatureDrops, ...]

    def ranked(self, metric: str) -> tuple[FeatureDrops, ...]:
        """Those in which the metric is defined, the greatest drop first."""
        known = [each for each in self.features if each.drops[metric].value is not None]
        return tuple(sorted(known, key=lambda each: -(each.drops[metric].value or 0.0)))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> "Importance":
        """The inverse of `to_json`."""
        features = tuple(
            FeatureDrops(each["feature"], {metric: Drop(**drop) for metric, drop in each["drops"].items()}) for each in given["features"]
        )
        return cls(given["requests"], given["candidates"], given["permutations"], features)


def importance(block: pa.RecordBatch, scores: Scores, *, dataset: Dataset) -> Importance:
    """The importance of each feature to a model on the requests of a block.

    Args:
        block: examples as ingested; it holds all that is judged.
        scores: the model.
        dataset: names the features and seeds the permutations. Each feature draws by its own name: what is told of one doesn't depend on
            which others there are.

    Raises:
        InputError: the block holds no request.
    """
    if not block.num_rows:
        raise InputError("expected requests to tell the features' importance on, got none; widen the test window")
    judge = _Judge.of(block, dataset)
    whole = judge.judged(scores(block, judge.row_lengths))
    found = []
    for subject in subjects(dataset):
        random = np.random.default_rng([dataset.seed, *subject.name.encode()])
        without = []
        for _ in range(LIST_PERMUTATIONS if subject.compares else PERMUTATIONS):
            if subject.compares:
                held = held_against_another_list(block, subject.columns[0], row_lengths=judge.row_lengths, random=random)
                again = scores(held.block, held.row_lengths)[held.scored]
            else:
                again = scores(permuted(block, subject.columns, row_lengths=judge.row_lengths, random=random), judge.row_lengths)
            without.append(judge.judged(again))
        found.append(FeatureDrops(subject.name, _drops(whole, without)))
    return Importance(block.num_rows, int(judge.row_lengths.sum()), PERMUTATIONS, tuple(found))


@dataclass(frozen=True, slots=True)
class _Judge:
    """The requests without a model's scores."""

    labels: NDArray[np.float32]  # [N]
    gains: NDArray[np.float32]  # [N]
    row_lengths: NDArray[np.int64]  # [R]
    users: NDArray[np.uint64] | None  # [R]

    @classmethod
    def of(cls, block: pa.RecordBatch, dataset: Dataset) -> "_Judge":
        labels, row_lengths = candidate_values(block, "label")
        worth = gains(dataset)
        acted = {name: candidate_values(block, name)[0] for name in worth}
        amounts = {name: candidate_values(block, amount)[0] for name, amount in gain_amounts(dataset).items()}
        return cls(labels, gains_from(acted, worth, amounts), row_lengths, shoppers(block))

    def judged(self, scores: NDArray[np.float32]) -> RankingSums:
        requests = Requests(self.labels, scores, self.gains, self.row_lengths, self.users)
        return request_sums(requests, _LISTWISE).total()


_LISTWISE = tuple(metric for metric in METRICS if metric != "auc")


def _drops(whole: RankingSums, without: list[RankingSums]) -> dict[str, Drop]:
    values, drawn = whole.values(_LISTWISE), whole.replicated(_LISTWISE)
    others = [(each.values(_LISTWISE), each.replicated(_LISTWISE)) for each in without]
    found = {}
    for metric in METRICS:
        drop = values[metric] - float(np.mean([other[metric] for other, _ in others]))
        error = standard_error(drawn[metric] - np.mean([other[metric] for _, other in others], axis=0)) if drawn else math.nan
        found[metric] = Drop(_or_none(drop), _or_none(half_width(error, whole.counts.effective)))
    return found


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
