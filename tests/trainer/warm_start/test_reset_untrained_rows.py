"""Check the scores of ids that training never had: new products, shops and words."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from components.contract.columns import input_columns
from components.contract.errors import DatasetFileError
from components.contract.load import parse_dataset
from components.schema.parsing import parse
from tests.trainer.conftest import EVERY_KIND, serialize, transform, write
from trainer.fit.auc import auc
from trainer.model.embedding import Table
from trainer.run import run_fn
from trainer.warm_start.champion_weights import read_champion
from trainer.warm_start.reset_untrained_rows import initial_rows, reset_untrained_rows


@pytest.fixture(scope="module")
def trained(every_kind, tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    files = {"train_files": [every_kind.train], "eval_files": [every_kind.eval], "transform_output": every_kind.graph}
    run_fn(SimpleNamespace(**files, serving_model_dir=str(path), custom_config={"dataset": every_kind.text}))
    return SimpleNamespace(champion=read_champion(str(path)), scores=tf.saved_model.load(str(path)).signatures["examples"])


def scores(trained, rows):
    padded = trained.scores(tf.constant([serialize(row) for row in rows]))["scores"].numpy()
    return [each[: len(row["label"])] for each, row in zip(padded, rows, strict=True)]


def with_new_items(rows, name):
    return [row | {"item": [name for _ in row["item"]]} for row in rows]


def test_rows_that_training_met_are_learnt_and_all_others_are_0(every_kind, trained):
    raw = parse(tf.constant(every_kind.serialized[:192]), input_columns(every_kind.dataset))
    out = every_kind.tft.transform_features_layer()(raw)
    ids = {f"tables/{name}": [out[name]] for name in ("shop", "user")} | {"tables/item": [out["item"], out["last_item"]]}
    ids |= {f"words/{name}": [out[name]] for name in ("title", "tags", "query")}
    for name, columns in ids.items():
        met = np.unique(np.concatenate([np.ravel(getattr(column, "flat_values", column)) for column in columns]))
        rows = trained.champion.weights[name]
        learnt = np.flatnonzero(rows.any(axis=1))
        assert learnt.tolist() == met.tolist(), name
    # There is something to tell apart; of the items only history's names fall into the buckets for the rest, and into
    # all of them.
    assert not all(rows.any() for rows in trained.champion.weights["tables/shop"])


def test_two_new_products_of_the_same_content_score_the_same(every_kind, trained):
    some = every_kind.rows[-64:]
    one, other, known = (
        scores(trained, with_new_items(some, "new 1")),
        scores(trained, with_new_items(some, "another")),
        scores(trained, some),
    )
    assert np.concatenate(one).tolist() == np.concatenate(other).tolist()
    # Near the score of a product that is known: nearer than products are to each other.
    apart = np.abs(np.concatenate(one) - np.concatenate(known))
    assert 0 < apart.mean() < np.concatenate(known).std() / 2


def test_a_new_product_is_scored_by_its_content(every_kind, trained):
    some = every_kind.rows[-64:]
    labels = np.concatenate([row["label"] for row in some])
    assert auc(labels, np.concatenate(scores(trained, with_new_items(some, "new")))) > 0.9


def test_a_row_that_was_carried_over_stays_whether_training_meets_it_or_not():
    table = Table("item", 3, 2)
    table(tf.constant([0]))
    model = SimpleNamespace(tables={"item": table}, words={})
    begin = initial_rows(model)
    carried, learnt = [0.5, 0.5], [7.0, 8.0]
    drawn = table.table.numpy()[0].tolist()
    table.table.assign([drawn, carried, learnt])
    reset_untrained_rows(model, begin)
    assert table.table.numpy().tolist() == [[0, 0], carried, learnt]


@pytest.mark.parametrize(
    ("least", "known"),
    [pytest.param(1, ["i1", "i2", "once"], marks=pytest.mark.slow), (2, ["i1", "i2"]), pytest.param(4, ["i1"], marks=pytest.mark.slow)],
)
def test_ids_below_the_threshold_share_the_buckets_for_the_rest(every_kind, tmp_path, least, known):
    shown = ["i1"] * 4 + ["i2"] * 3 + ["once"]
    single = [row for row in every_kind.rows if len(row["label"]) == 1]
    rows = [row | {"item": [item]} for row, item in zip(single, shown, strict=False)]
    text = EVERY_KIND.replace("oov_buckets: 4", f"oov_buckets: 4, min_count: {least}")
    graph = tft.TFTransformOutput(transform(text, write(tmp_path, [serialize(row) for row in rows]), tmp_path))
    assert sorted(entry.decode() for entry in graph.vocabulary_by_name("vocabulary_item")) == known
    raw = parse(tf.constant([serialize(row) for row in rows]), input_columns(every_kind.dataset))
    ids = dict(zip(shown, graph.transform_features_layer()(raw)["item"].flat_values.numpy(), strict=True))
    assert {item for item, row in ids.items() if row > len(known)} == set(shown) - set(known)


def test_a_count_without_a_vocabulary_is_refused():
    text = EVERY_KIND.replace("vocabulary: 30, oov_buckets: 4", "buckets: 30, min_count: 2")
    with pytest.raises(DatasetFileError, match="`min_count` goes with `vocabulary`"):
        parse_dataset(text)
