"""Check the soft labels of boosted trees."""

import logging

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from components.contract.errors import DatasetFileError
from components.contract.load import parse_dataset
from trainer.config import ranker_config
from trainer.data.input_pipeline import Epochs, SoftLabels, TrainingExamples, request_files
from trainer.distillation import soft_labels
from trainer.distillation.soft_labels import FOLDS, fit_teacher, parse_requests
from trainer.fit.auc import auc
from trainer.fit.training import train


def files(pattern):
    return request_files([pattern])[0]


@pytest.fixture(scope="module")
def taught(every_kind):
    return fit_teacher(files(every_kind.train), files(every_kind.eval), dataset=every_kind.dataset)


def test_it_learns_the_planted_rule_without_having_seen_the_labels_it_speaks_of(every_kind, taught):
    labels, estimates = [], []
    for features in parse_requests(files(every_kind.train), every_kind.dataset):
        labels.append(features["label"].flat_values.numpy())
        estimates.append(taught.estimates(every_kind.dataset, features))
    assert auc(np.concatenate(labels), np.concatenate(estimates)) > 0.8
    assert len(taught.boosters) == FOLDS


def test_labels_that_cannot_be_known_are_not_learnt_by_heart(every_kind, tmp_path):
    """With random labels, only a teacher that was fitted to a request's own labels could predict them."""
    random, path = np.random.default_rng(0), tmp_path / "part-0"
    with tf.io.TFRecordWriter(str(path)) as out:
        for row in every_kind.rows:
            drawn = (random.random(len(row["label"])) < 0.3).astype(float).tolist()
            out.write(every_kind.serialize({**row, "label": drawn}))
    fitted = fit_teacher([str(path)], [str(path)], dataset=every_kind.dataset)
    (features,) = parse_requests([str(path)], every_kind.dataset)
    assert auc(features["label"].flat_values.numpy(), fitted.estimates(every_kind.dataset, features)) == pytest.approx(0.5, abs=0.06)


def test_each_request_meets_its_own_estimates_however_they_are_shuffled(every_kind, taught, tmp_path):
    share = 0.25
    written = taught.write(files(every_kind.train), str(tmp_path), dataset=every_kind.dataset)
    expected = {}
    for features in parse_requests(files(every_kind.train), every_kind.dataset):
        mixed = features["label"].with_flat_values(
            (1 - share) * features["label"].flat_values + share * taught.estimates(every_kind.dataset, features)
        )
        expected |= {tuple(np.round(row.numpy(), 5)): None for row in mixed}
    graph = tft.TFTransformOutput(every_kind.graph)
    soft = SoftLabels(written, share)
    examples = TrainingExamples(files(every_kind.train), soft_labels=soft)
    batches = Epochs(examples, graph, dataset=every_kind.dataset, requests=16, seed=1).epoch(0)
    read = [tuple(np.round(row.numpy(), 5)) for _, labels in batches for row in labels]
    assert len(read) == sum(1 for _ in tf.data.TFRecordDataset(files(every_kind.train)))
    assert set(read) == set(expected)


def test_above_the_limit_shoppers_are_drawn_whole(every_kind, monkeypatch):
    whole = soft_labels._read(files(every_kind.train), every_kind.dataset, seed=3)
    monkeypatch.setattr(soft_labels, "MAX_CANDIDATES", 300)
    monkeypatch.setattr(soft_labels, "_BATCH", 16)
    drawn = soft_labels._read(files(every_kind.train), every_kind.dataset, seed=3)
    assert 0 < len(drawn.labels) <= 300 < len(whole.labels)
    assert all(len(values) == len(drawn.labels) for values in drawn.columns.values())
    inside = np.isin(whole.users, drawn.users)
    assert np.array_equal(whole.labels[inside], drawn.labels)
    assert np.array_equal(whole.users[inside], drawn.users)


@pytest.mark.slow
def test_the_ranker_learns_from_the_trees_and_says_how_they_did(every_kind, caplog):
    dataset = parse_dataset(every_kind.text.replace("factors: 4}", "factors: 4, distillation: 1.0}"))
    with caplog.at_level(logging.INFO, "shelfrank.progress"):
        _, curve = train(
            files(every_kind.train),
            files(every_kind.eval),
            tft.TFTransformOutput(every_kind.graph),
            dataset=dataset,
            config=ranker_config(dataset),
        )
    assert max(row["eval_auc"] for row in curve) > 0.8  # though it saw no label
    assert [record.message.split("  ")[0] for record in caplog.records if record.name == "shelfrank.progress"][:FOLDS] == [
        f"teacher {at} of {FOLDS}" for at in range(1, FOLDS + 1)
    ]


def test_a_teacher_of_one_label_has_nothing_for_several_heads(every_kind):
    dataset = parse_dataset(every_kind.text.replace("factors: 4}", "factors: 4, distillation: 0.5, heads: true}"))
    with pytest.raises(DatasetFileError, match=r"model.distillation: expected 0 where `model.heads` is on"):
        ranker_config(dataset)
