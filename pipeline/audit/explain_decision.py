"""Explain a decision's scores in words, by the release that gave them and the features in the log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.contract.dataset import Dataset
from serving.explanation.reasons import LOGITS, Pair, Reason, Reasons
from serving.explanation.request_values import RequestValues

if TYPE_CHECKING:
    from pipeline.audit.release_model import ReleaseModel

SIGNATURE = "explain"


@dataclass(frozen=True)
class Why:
    """What says most of each of L candidates, and why each scores higher than the next."""

    reasons: Sequence[Sequence[Reason]]
    pairs: Sequence[Pair]


def explained(model: "ReleaseModel", features: Mapping[str, Any], length: int, dataset: Dataset) -> Why | None:
    """Return the reasons; None of a model without attributions.

    Args:
        model: of the release that answered.
        features: as logged.
        length: number of candidates.
        dataset: of the release.
    """
    if not model.has(SIGNATURE):
        return None
    tensors = model.tensors(features)
    outputs = model.run(tensors, SIGNATURE)
    names = [name.decode("utf-8", "replace") for name in outputs["features"][0].tolist()]
    others = {name: values[0, :length] for name, values in outputs.items() if name not in ("features", "attributions")}
    words, values = Reasons(dataset), RequestValues(dataset, tensors, length)
    every, effects = words.effects(names, outputs["attributions"][0, :length], others)
    pairs = words.of_neighbours(every, effects, others[LOGITS], values) if LOGITS in others else []
    return Why(words.of_candidates(every, effects, values), pairs)
