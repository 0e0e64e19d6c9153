"""Rank one request of the test window with the exported model."""

from itertools import islice
from pathlib import Path
from typing import Any

import tensorflow as tf

from components.contract.dataset import Dataset
from components.contract.features import Text
from components.evaluation.report.html_report import RankedCandidate, RankedRequest

_LOOKED_THROUGH = 1_000
_SHORTEST = 5


def ranked_request(examples: Path, model: Path, *, dataset: Dataset) -> RankedRequest | None:
    """Return the first test request with five candidates or more, of both labels, ranked; None if there is none.

    Args:
        examples: the Examples artifact.
        model: the SavedModel.
        dataset: names the items' text feature, if there is one.
    """
    title = next((feature.name for feature in dataset.features if isinstance(feature, Text) and feature.side == "item"), "")
    for record in islice(tf.data.TFRecordDataset(sorted(map(str, examples.glob("Split-test/*")))).as_numpy_iterator(), _LOOKED_THROUGH):
        request = tf.train.Example.FromString(record).features.feature
        labels = list(request["label"].float_list.value)
        if len(labels) >= _SHORTEST and 0 < sum(labels) < len(labels):
            scores = _scores(model, record)[: len(labels)]
            candidates = zip(_texts(request["item"]), _texts(request[title]) or [""] * len(labels), scores, labels, strict=True)
            best_first = sorted((RankedCandidate(*candidate) for candidate in candidates), key=lambda candidate: -candidate.score)
            shopper = _texts(request["user"])
            return RankedRequest(f"{_texts(request['request'])[0]} of {(shopper and shopper[0]) or 'a guest'}", tuple(best_first))
    return None


def _scores(model: Path, record: bytes) -> list[float]:
    signature = tf.saved_model.load(str(model)).signatures["examples"]
    return [float(score) for score in signature(examples=tf.constant([record]))["scores"][0]]


def _texts(feature: Any) -> list[str]:
    return [value.decode(errors="replace") for value in feature.bytes_list.value]
