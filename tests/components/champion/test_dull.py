import numpy as np
import pytest
import tensorflow as tf

from components.champion.dull import export_dull
from components.champion.rule import popularity_column
from components.contract.load import parse_dataset

START = """
name: shop
events: {{path: e.csv, columns: {{time: t, user: u, item: i, action: a, request: r{position}}}}}
items: {{path: i.csv, id: i}}
actions: {{view: {{}}, click: {{label: 1}}}}
candidates: {{from: impressions, action: view}}
half_lives: [1h, 7d, 1d]
features:
  - {{name: item, kind: id, side: item}}
"""
CLICKS = "  - {name: clicks, kind: state, side: item, measure: count, action: click}\n"
POSITION = "  - {name: position, kind: number, side: item}\n"


def dataset(*features: str, position: str = ""):
    return parse_dataset(START.format(position=position) + "".join(features))


def example(**columns: list) -> bytes:
    features = {}
    for name, values in columns.items():
        match values[0]:
            case bytes():
                features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
            case int():
                features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
            case _:
                features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def doors(shop, path):
    rule = export_dull(shop, str(path))
    loaded = tf.saved_model.load(str(path))
    return rule, loaded.signatures["examples"], loaded.signatures["serving_default"]


def test_shown_order_goes_by_the_position_in_the_examples_and_by_the_order_in_a_request(tmp_path):
    rule, examples, serving = doors(dataset(position=", position: p"), tmp_path)
    assert rule == "shown order"
    rows = [example(item=[b"a", b"b", b"c"], position=[2, 0, 1]), example(item=[b"a", b"b"], position=[-1, -1])]
    assert examples(tf.constant(rows))["scores"].numpy() == pytest.approx(np.array([[1 / 4, 1 / 2, 1 / 3], [1 / 2, 1 / 3, 0]]))
    asked = serving(item=tf.constant([["a", "b", "c"], ["a", "b", ""]]), n_candidates=tf.constant([3, 2], tf.int64))
    assert asked["scores"].numpy() == pytest.approx(np.array([[1 / 2, 1 / 3, 1 / 4], [1 / 2, 1 / 3, 0]]))


def test_a_position_that_is_a_feature_counts_at_both_doors(tmp_path):
    _, examples, serving = doors(dataset(POSITION, position=", position: p"), tmp_path)
    assert examples(tf.constant([example(item=[b"a", b"b"], position=[1, 0])]))["scores"].numpy() == pytest.approx(
        np.array([[1 / 3, 1 / 2]])
    )
    asked = serving(item=tf.constant([["a", "b"]]), position=tf.constant([[1, 0]], tf.int64), n_candidates=tf.constant([2], tf.int64))
    assert asked["scores"].numpy() == pytest.approx(np.array([[1 / 3, 1 / 2]]))


def test_popularity_orders_by_the_longest_half_life_and_keeps_neighbours_apart(tmp_path):
    shop = dataset(CLICKS)
    assert popularity_column(shop) == "clicks_7d"
    rule, examples, serving = doors(shop, tmp_path)
    assert rule == "popularity"
    long, short = [0.0, 3.0, 400_000.0, 400_001.0, float("nan")], [9.0, 2.0, 1.0, 0.0, 5.0]
    scores = examples(tf.constant([example(item=[b"a", b"b", b"c", b"d", b"e"], clicks_7d=long, clicks_1h=short, clicks_1d=short)]))[
        "scores"
    ].numpy()[0]
    assert scores[0] == scores[4] == 0
    assert 0 < scores[1] < scores[2] < scores[3] < 1
    dense = {name: tf.constant([each]) for name, each in (("clicks_7d", long), ("clicks_1h", short), ("clicks_1d", short))}
    asked = serving(item=tf.constant([["a", "b", "c", "d", "e"]]), n_candidates=tf.constant([5], tf.int64), **dense)["scores"].numpy()[0]
    assert asked.tolist() == scores.tolist()


def test_without_order_and_counts_all_candidates_are_alike(tmp_path):
    rule, examples, serving = doors(dataset(), tmp_path)
    assert rule == "constant"
    assert examples(tf.constant([example(item=[b"a", b"b"]), example(item=[b"a"])]))["scores"].numpy().tolist() == [[0.5, 0.5], [0.5, 0]]
    assert serving(item=tf.constant([["a", ""]]), n_candidates=tf.constant([1], tf.int64))["scores"].numpy().tolist() == [[0.5, 0]]
