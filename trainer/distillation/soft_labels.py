"""What boosted trees say of the training requests, for the ranker to learn from beside what shoppers did.

Distillation (Hinton et al. 2015, https://arxiv.org/abs/1503.02531): a label is one draw of a chance, the teacher's estimate is nearer to
the chance itself, and on small data trees estimate it well. The binary cross-entropy is linear in its target, so learning from both is
learning from the mixture (1 - share) label + share estimate.

A teacher must not have seen the labels it speaks of, or it passes its overfitting on: the estimates are cross-fitted. Shoppers fall into
folds, and each fold is told by trees that learnt from the others.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa
import tensorflow as tf
from numpy.typing import NDArray

from components.contract.columns import columns
from components.contract.dataset import Dataset
from components.evaluation.metrics.id_hashes import hashed
from components.schema.parsing import Features, parse
from trainer.distillation.inputs import Coding, Columns, coding, tree_inputs

PROGRESS = logging.getLogger("shelfrank.progress")

ESTIMATE = "teacher.estimate"

FOLDS = 4
LEARNT_CANDIDATES = 2_000_000
"""Trees gain little from more, and are the one part of training that holds its examples in memory: above it, shoppers are drawn."""

_BATCH = 512
_ROUNDS = 1_000
_PATIENCE = 30
_SETTINGS: dict[str, Any] = {
    "objective": "binary",
    "metric": ["binary_logloss", "auc"],  # boosting ends by the first: chances are to be taught, not an order alone
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "cat_smooth": 100.0,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
"""The cautious middle of what benchmarks/quality/trees.py searches: they needn't win, but teach."""


@dataclass(frozen=True)
class _Requests:
    """Requests as trees see them: columns of N candidates, their labels, and the hash of each candidate's shopper."""

    columns: Columns
    labels: NDArray[np.float32]
    shoppers: NDArray[np.uint64]


@dataclass(frozen=True)
class Teacher:
    """Trees for each fold of shoppers, learnt from the other folds."""

    coding: Coding
    boosters: tuple[lightgbm.Booster, ...]

    def write(self, files: Sequence[str], folder: str, *, dataset: Dataset) -> list[str]:
        """Beside each file of requests one of their estimates in `folder`, record by record; returns their names.

        A record is an Example that has the column `ESTIMATE` alone. Two serialized messages in a row are their union, so a request and its
        estimates, joined as bytes, are read as one example.
        """
        written = []
        for at, name in enumerate(files):
            written.append(os.path.join(folder, f"{at:05d}"))
            with tf.io.TFRecordWriter(written[-1]) as out:
                for features in parsed([name], dataset):
                    lengths = features["label"].row_lengths().numpy()
                    for estimates in np.split(self.estimates(dataset, features), np.cumsum(lengths)[:-1]):
                        feature = tf.train.Feature(float_list=tf.train.FloatList(value=estimates))
                        out.write(tf.train.Example(features=tf.train.Features(feature={ESTIMATE: feature})).SerializeToString())
        return written

    def estimates(self, dataset: Dataset, features: Features) -> NDArray[np.float32]:
        """P(label) of all candidates [N] of a batch of parsed requests, by trees that haven't learnt from their shopper."""
        requests = _of_batch(dataset, features)
        inputs, fold = self.coding.matrix(requests.columns), _fold(requests.shoppers)
        found = np.empty(len(fold), np.float32)
        for at, booster in enumerate(self.boosters):
            if (fold == at).any():
                found[fold == at] = booster.predict(inputs[fold == at])
        return found


def teacher(train_files: Sequence[str], eval_files: Sequence[str], *, dataset: Dataset) -> Teacher:
    """Fit the trees; boosting of each ends by the log loss on the eval split."""
    training = _read(train_files, dataset, seed=dataset.seed)
    evaluation = _read(eval_files, dataset, seed=dataset.seed)
    coded = coding(dataset, training.columns)
    names = list(training.columns)
    categorical = [names.index(name) for name in coded.categories]
    inputs, fold = coded.matrix(training.columns), _fold(training.shoppers)
    eval_inputs = coded.matrix(evaluation.columns)
    boosters = []
    for at in range(FOLDS):
        params = {"feature_pre_filter": False, "verbosity": -1}
        learnt = lightgbm.Dataset(inputs[fold != at], training.labels[fold != at], categorical_feature=categorical, params=params)
        judged = lightgbm.Dataset(eval_inputs, evaluation.labels, reference=learnt, params=params)
        stop = lightgbm.early_stopping(_PATIENCE, first_metric_only=True, verbose=False)
        booster = lightgbm.train(_SETTINGS | {"seed": dataset.seed}, learnt, _ROUNDS, [judged], ["eval"], callbacks=[stop])
        PROGRESS.info("teacher %d of %d  %d trees  eval AUC %.4f", at + 1, FOLDS, booster.best_iteration, booster.best_score["eval"]["auc"])
        boosters.append(booster)
    return Teacher(coded, tuple(boosters))


def _read(files: Sequence[str], dataset: Dataset, *, seed: int) -> _Requests:
    """The requests of some files, of drawn shoppers alone where there are more candidates than trees need."""
    kept: list[_Requests] = []
    limit = np.uint64(np.iinfo(np.uint64).max)
    total = 0
    salt = np.uint64(seed)
    for features in parsed(files, dataset):
        of_batch = _only(_of_batch(dataset, features), limit, salt)
        kept.append(of_batch)
        total += len(of_batch.labels)
        while total > LEARNT_CANDIDATES:  # half of the shoppers stay, whatever was read before
            limit = limit // np.uint64(2)
            kept = [_only(each, limit, salt) for each in kept]
            total = sum(len(each.labels) for each in kept)
    return _Requests(
        {name: np.concatenate([each.columns[name] for each in kept]) for name in kept[0].columns},
        np.concatenate([each.labels for each in kept]),
        np.concatenate([each.shoppers for each in kept]),
    )


def parsed(files: Sequence[str], dataset: Dataset) -> Iterator[Features]:
    """All columns of the requests, batch by batch, in the order of the files."""
    table = columns(dataset)
    for records in tf.data.TFRecordDataset(list(files)).batch(_BATCH).prefetch(1):
        yield parse(records, table)


def _of_batch(dataset: Dataset, features: Features) -> _Requests:
    row = features["label"].value_rowids().numpy()
    return _Requests(tree_inputs(dataset, features), features["label"].flat_values.numpy(), shoppers(features)[row])


def shoppers(features: Features) -> NDArray[np.uint64]:
    """A hash for the shopper of each request [B]; a guest's request is a shopper of its own."""
    user, request, time = (features[name].numpy() for name in ("user", "request", "time"))
    guest = np.array([b"%s@%d" % each for each in zip(request, time.tolist(), strict=True)], np.object_)  # requests may share an id
    return hashed(pa.array(np.where(user == b"", guest, user)))


def _only(requests: _Requests, limit: np.uint64, salt: np.uint64) -> _Requests:
    """The requests of shoppers whose hash, mixed so that it says nothing of their fold, is at most `limit`."""
    inside = _mixed(requests.shoppers, salt) <= limit
    if inside.all():
        return requests
    return _Requests(
        {name: values[inside] for name, values in requests.columns.items()}, requests.labels[inside], requests.shoppers[inside]
    )


def _mixed(hashes: NDArray[np.uint64], salt: np.uint64) -> NDArray[np.uint64]:
    mixed: NDArray[np.uint64] = (hashes ^ salt) * np.uint64(0x9E3779B97F4A7C15)
    return mixed ^ (mixed >> np.uint64(32))


def _fold(shoppers: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (shoppers % np.uint64(FOLDS)).astype(np.int64)
