"""Compare a refreshed model with its base on requests that neither was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from components.contract.columns import columns
from components.contract.dataset import Dataset
from components.evaluation.metrics.bootstrap import standard_error
from components.evaluation.metrics.intervals import half_width, p_value
from components.evaluation.metrics.metric_accumulator import RankingSums, Requests, request_sums
from components.schema.parsing import parse
from trainer.distillation.soft_labels import user_hashes

_ALPHA = 0.025
_BATCH = 512


@dataclass(frozen=True)
class Comparison:
    """AUC of two models on the same requests.

    Attributes:
        base: AUC of the base.
        refreshed: AUC of the refreshed model.
        half_width: of the 95 % interval of their difference, paired over shoppers; NaN where shoppers are too few.
        requests: number of requests.
        worse: whether the refreshed model is worse with significance: a one-sided test at 2.5 %.
    """

    base: float
    refreshed: float
    half_width: float
    requests: int
    worse: bool

    @property
    def sentence(self) -> str:
        """Word the comparison."""
        return (
            f"AUC on {self.requests:,} new requests held out is {self.refreshed:.4f}, {self.refreshed - self.base:+.4f} against the base "
            f"(± {self.half_width:.4f})"
        )


def compare(base: str, refreshed: str, files: Sequence[str], *, dataset: Dataset) -> Comparison:
    """Score requests by both SavedModels, through the signature that Evaluator uses.

    Args:
        base: folder of the model in force.
        refreshed: folder of the model to release.
        files: of serialized requests.
        dataset: declares their columns.
    """
    signatures = [tf.saved_model.load(folder).signatures["examples"] for folder in (base, refreshed)]
    blocks: list[list[Requests]] = [[], []]
    for records in tf.data.TFRecordDataset(list(files)).batch(_BATCH):
        features = parse(records, columns(dataset))
        labels, users = features["label"], user_hashes(features)
        for sums, signature in zip(blocks, signatures, strict=True):
            scores = tf.RaggedTensor.from_tensor(signature(examples=records)["scores"], lengths=labels.row_lengths()).flat_values.numpy()
            flat = labels.flat_values.numpy()
            sums.append(Requests(flat, scores, flat, labels.row_lengths().numpy(), users))
    old, new = (_total(each) for each in blocks)
    difference = new.values()["auc"] - old.values()["auc"]
    error, effective = standard_error(new.replicated()["auc"] - old.replicated()["auc"]), new.values()["effective_shoppers"]
    return Comparison(
        base=old.values()["auc"],
        refreshed=new.values()["auc"],
        half_width=half_width(error, effective),
        requests=int(new.values()["requests"]),
        worse=bool(p_value(difference, error, effective) <= _ALPHA),
    )


def _total(blocks: Sequence[Requests]) -> RankingSums:
    names = ("labels", "scores", "gains", "row_lengths", "users")
    joined: dict[str, Any] = {name: np.concatenate([getattr(block, name) for block in blocks]) for name in names}
    return request_sums(Requests(**joined)).total()
