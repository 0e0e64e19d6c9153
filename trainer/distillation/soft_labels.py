"""Estimate soft labels by boosted trees, for the ranker to learn from beside the observed labels.

Distillation (Hinton et al. 2015, https://arxiv.org/abs/1503.02531): a label is one draw with a probability, of which
the teacher's estimate is less noisy, and on small data trees estimate it well. The binary cross-entropy is linear in
its target, so the loss on the mixture (1 - share) label + share estimate is the mixture of both losses.

A teacher that was fitted to the labels of a request would pass its overfitting on, so estimates are cross-fitted:
users are split into folds, and each fold is estimated by trees fitted to the others.
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
from components.contract.values.splitmix import GOLDEN
from components.evaluation.metrics.id_hashes import hashed
from components.schema.parsing import Features, parse
from trainer.distillation.inputs import Coding, Columns, coding, tree_inputs

PROGRESS = logging.getLogger("shelfrank.progress")

ESTIMATE = "teacher.estimate"

FOLDS = 4
MAX_CANDIDATES = 2_000_000
"""Greatest number of candidates to fit trees to, as all are held in memory. Above it users are sampled."""

_BATCH = 512
_ROUNDS = 1_000
_PATIENCE = 30
_SETTINGS: dict[str, Any] = {
    "objective": "binary",
    "metric": ["binary_logloss", "auc"],  # early stopping is by the first, as probabilities are distilled and not an order alone
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
"""Conservative settings out of the space that benchmarks/quality/trees.py searches."""


@dataclass(frozen=True)
class _Requests:
    """Inputs of trees: columns of N candidates, their labels [N], and the hash of each candidate's user [N]."""

    columns: Columns
    labels: NDArray[np.float32]
    users: NDArray[np.uint64]


@dataclass(frozen=True)
class Teacher:
    """Estimate labels by trees for each fold of users, fitted to the other folds."""

    coding: Coding
    boosters: tuple[lightgbm.Booster, ...]

    def write(self, files: Sequence[str], folder: str, *, dataset: Dataset) -> list[str]:
        """Write for each file of requests one of their estimates to `folder`, record by record; return their names.

        A record is an Example with the column `ESTIMATE` alone. Two concatenated serialized messages parse as their
        union, so a request and its estimates, joined as bytes, are read as one example.
        """
        names = []
        for at, name in enumerate(files):
            names.append(os.path.join(folder, f"{at:05d}"))
            with tf.io.TFRecordWriter(names[-1]) as out:
                for features in parse_requests([name], dataset):
                    lengths = features["label"].row_lengths().numpy()
                    for estimates in np.split(self.estimates(dataset, features), np.cumsum(lengths)[:-1]):
                        feature = tf.train.Feature(float_list=tf.train.FloatList(value=estimates))
                        out.write(tf.train.Example(features=tf.train.Features(feature={ESTIMATE: feature})).SerializeToString())
        return names

    def estimates(self, dataset: Dataset, features: Features) -> NDArray[np.float32]:
        """Estimate P(label) of a batch's candidates [N], by trees that weren't fitted to their user."""
        requests = _tree_requests(dataset, features)
        inputs, fold = self.coding.matrix(requests.columns), _fold(requests.users)
        estimates = np.empty(len(fold), np.float32)
        for at, booster in enumerate(self.boosters):
            if (fold == at).any():
                estimates[fold == at] = booster.predict(inputs[fold == at])
        return estimates


def fit_teacher(train_files: Sequence[str], eval_files: Sequence[str], *, dataset: Dataset) -> Teacher:
    """Fit the trees of each fold, with early stopping by the log loss on the eval split."""
    training = _read(train_files, dataset, seed=dataset.seed)
    evaluation = _read(eval_files, dataset, seed=dataset.seed)
    encoding = coding(dataset, training.columns)
    names = list(training.columns)
    categorical = [names.index(name) for name in encoding.categories]
    inputs, fold = encoding.matrix(training.columns), _fold(training.users)
    eval_inputs = encoding.matrix(evaluation.columns)
    boosters = []
    for at in range(FOLDS):
        params = {"feature_pre_filter": False, "verbosity": -1}
        fitted = lightgbm.Dataset(inputs[fold != at], training.labels[fold != at], categorical_feature=categorical, params=params)
        evaluated = lightgbm.Dataset(eval_inputs, evaluation.labels, reference=fitted, params=params)
        stop = lightgbm.early_stopping(_PATIENCE, first_metric_only=True, verbose=False)
        booster = lightgbm.train(_SETTINGS | {"seed": dataset.seed}, fitted, _ROUNDS, [evaluated], ["eval"], callbacks=[stop])
        PROGRESS.info("teacher %d of %d  %d trees  eval AUC %.4f", at + 1, FOLDS, booster.best_iteration, booster.best_score["eval"]["auc"])
        boosters.append(booster)
    return Teacher(encoding, tuple(boosters))


def _read(files: Sequence[str], dataset: Dataset, *, seed: int) -> _Requests:
    """Read the requests of files, of sampled users alone where there are more than `MAX_CANDIDATES` candidates."""
    kept: list[_Requests] = []
    limit = np.uint64(np.iinfo(np.uint64).max)
    total = 0
    salt = np.uint64(seed)
    for features in parse_requests(files, dataset):
        kept.append(_sample(_tree_requests(dataset, features), limit, salt))
        total += len(kept[-1].labels)
        while total > MAX_CANDIDATES:  # each halving keeps half of the users, whatever the order of the files
            limit = limit // np.uint64(2)
            kept = [_sample(each, limit, salt) for each in kept]
            total = sum(len(each.labels) for each in kept)
    return _Requests(
        {name: np.concatenate([each.columns[name] for each in kept]) for name in kept[0].columns},
        np.concatenate([each.labels for each in kept]),
        np.concatenate([each.users for each in kept]),
    )


def parse_requests(files: Sequence[str], dataset: Dataset) -> Iterator[Features]:
    """Parse all columns of the requests, batch by batch, in the order of the files."""
    table = columns(dataset)
    for records in tf.data.TFRecordDataset(list(files)).batch(_BATCH).prefetch(1):
        yield parse(records, table)


def _tree_requests(dataset: Dataset, features: Features) -> _Requests:
    row = features["label"].value_rowids().numpy()
    return _Requests(tree_inputs(dataset, features), features["label"].flat_values.numpy(), user_hashes(features)[row])


def user_hashes(features: Features) -> NDArray[np.uint64]:
    """Hash the user of each request [B]; a guest's request counts as a user of its own."""
    user, request, time = (features[name].numpy() for name in ("user", "request", "time"))
    guest = np.array([b"%s@%d" % each for each in zip(request, time.tolist(), strict=True)], np.object_)  # requests may share an id
    return hashed(pa.array(np.where(user == b"", guest, user)))


def _sample(requests: _Requests, limit: np.uint64, salt: np.uint64) -> _Requests:
    """Keep the requests of users whose hash, mixed so that it is independent of their fold, is at most `limit`."""
    inside = _mixed(requests.users, salt) <= limit
    if inside.all():
        return requests
    return _Requests({name: values[inside] for name, values in requests.columns.items()}, requests.labels[inside], requests.users[inside])


def _mixed(hashes: NDArray[np.uint64], salt: np.uint64) -> NDArray[np.uint64]:
    mixed: NDArray[np.uint64] = (hashes ^ salt) * GOLDEN
    return mixed ^ (mixed >> np.uint64(32))


def _fold(users: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (users % np.uint64(FOLDS)).astype(np.int64)
