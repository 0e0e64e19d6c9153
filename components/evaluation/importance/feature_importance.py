"""Compute permutation feature importance: how far metrics fall when a feature's values are permuted.

    drop of a metric = its value on the requests - mean over the permutations of its value (`permutation`)

(Breiman 2001, "Random forests", section 10; Fisher, Rudin and Dominici 2019, "All models are wrong, but many are
useful"). The input of the exported model is permuted, so the drop is of the very model that is released. Intervals are
those of the bootstrap over shoppers, both values of a drop in the same replicates. Each request is permuted by a draw
of its own, so the interval includes the draw's variance.

Limits: of two correlated features either makes up for the other, and both drops are small; a permuted value may go with
the rest of a request as no real one does. The drop of a number includes that of its list-relative features.
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
from components.evaluation.importance.permutation import permute, permute_list_context, permuted_features
from components.evaluation.metrics.arrow_columns import candidate_values, shoppers
from components.evaluation.metrics.bootstrap import standard_error
from components.evaluation.metrics.intervals import half_width
from components.evaluation.metrics.metric_accumulator import RankingSums, Requests, gains_from, request_sums

PERMUTATIONS = 2
LIST_PERMUTATIONS = 1  # each costs as much as `permutation.LIST_COPIES` others, and scores every candidate
METRICS = ("auc", "ndcg_at_10")
FILE = "importance.json"

Scores = Callable[[pa.RecordBatch, NDArray[np.int64]], NDArray[np.float32]]
"""A function from a block of requests and the number of candidates of each [R] to the candidates' scores [N]."""


@dataclass(frozen=True, slots=True)
class Drop:
    """How far a metric falls, and half the width of its 95 % interval; None where it isn't defined."""

    value: float | None
    margin: float | None


@dataclass(frozen=True, slots=True)
class FeatureDrops:
    """The drop of each metric when a feature is permuted."""

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
        """Sort the features in which the metric is defined, the greatest drop first."""
        known = [each for each in self.features if each.drops[metric].value is not None]
        return tuple(sorted(known, key=lambda each: -(each.drops[metric].value or 0.0)))

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Importance":
        """Convert the values of `to_json` back."""
        features = tuple(
            FeatureDrops(each["feature"], {metric: Drop(**drop) for metric, drop in each["drops"].items()}) for each in content["features"]
        )
        return cls(content["requests"], content["candidates"], content["permutations"], features)


def importance(block: pa.RecordBatch, scores: Scores, *, dataset: Dataset) -> Importance:
    """Compute the importance of each feature to a model on the requests of a block.

    Args:
        block: examples as ingested; all of them are evaluated.
        scores: the model.
        dataset: names the features and seeds the permutations. Each feature draws by its own name, so its drop doesn't
            depend on which other features there are.

    Raises:
        InputError: the block holds no request.
    """
    if not block.num_rows:
        raise InputError("expected requests to tell the features' importance on, got none; widen the test window")
    labelled = _LabelledRequests.from_block(block, dataset)
    whole = labelled.evaluate(scores(block, labelled.row_lengths))
    rows = []
    for feature in permuted_features(dataset):
        random = np.random.default_rng([dataset.seed, *feature.name.encode()])
        without = []
        for _ in range(LIST_PERMUTATIONS if feature.compares else PERMUTATIONS):
            if feature.compares:
                copies = permute_list_context(block, feature.columns[0], row_lengths=labelled.row_lengths, random=random)
                permuted_scores = scores(copies.block, copies.row_lengths)[copies.scored]
            else:
                permuted_block = permute(block, feature.columns, row_lengths=labelled.row_lengths, random=random)
                permuted_scores = scores(permuted_block, labelled.row_lengths)
            without.append(labelled.evaluate(permuted_scores))
        rows.append(FeatureDrops(feature.name, _drops(whole, without)))
    return Importance(block.num_rows, int(labelled.row_lengths.sum()), PERMUTATIONS, tuple(rows))


@dataclass(frozen=True, slots=True)
class _LabelledRequests:
    """R requests with N candidates, without a model's scores."""

    labels: NDArray[np.float32]  # [N]
    gains: NDArray[np.float32]  # [N]
    row_lengths: NDArray[np.int64]  # [R]
    users: NDArray[np.uint64] | None  # [R]

    @classmethod
    def from_block(cls, block: pa.RecordBatch, dataset: Dataset) -> "_LabelledRequests":
        labels, row_lengths = candidate_values(block, "label")
        gain_table = gains(dataset)
        acted = {name: candidate_values(block, name)[0] for name in gain_table}
        amounts = {name: candidate_values(block, amount)[0] for name, amount in gain_amounts(dataset).items()}
        return cls(labels, gains_from(acted, gain_table, amounts), row_lengths, shoppers(block))

    def evaluate(self, scores: NDArray[np.float32]) -> RankingSums:
        requests = Requests(self.labels, scores, self.gains, self.row_lengths, self.users)
        return request_sums(requests, _LISTWISE).total()


_LISTWISE = tuple(metric for metric in METRICS if metric != "auc")


def _drops(whole: RankingSums, without: list[RankingSums]) -> dict[str, Drop]:
    values, drawn = whole.values(_LISTWISE), whole.replicated(_LISTWISE)
    others = [(each.values(_LISTWISE), each.replicated(_LISTWISE)) for each in without]
    drops = {}
    for metric in METRICS:
        drop = values[metric] - float(np.mean([other[metric] for other, _ in others]))
        error = standard_error(drawn[metric] - np.mean([other[metric] for _, other in others], axis=0)) if drawn else math.nan
        drops[metric] = Drop(_or_none(drop), _or_none(half_width(error, whole.counts.effective)))
    return drops


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
