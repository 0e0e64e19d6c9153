import numpy as np
import pytest
import tensorflow as tf

from benchmarks.quality.baseline_scores import POPULARITY, rules
from components.champion.baseline import export_baseline
from components.contract.load import parse_dataset
from components.contract.popularity import popularity_column
from serving.service.ranking.fallback_scores import popularity_scores

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
    rule = export_baseline(shop, str(path))
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


def test_equal_counts_have_equal_scores_to_the_bit_wherever_they_stand_in_a_batch(tmp_path):
    """A vectorised logarithm differs in its last bit between the eight at once and the rest: then tied candidates aren't tied."""
    _, examples, _ = doors(dataset(CLICKS), tmp_path)
    counts = np.random.default_rng(0).gamma(0.5, 40.0, 300).astype(np.float32)
    for length in (1, 3, 7, 8, 9, 31, 65):
        columns = ("clicks_7d", "clicks_1h", "clicks_1d")
        alike = [example(item=[b"a"] * length, **dict.fromkeys(columns, [float(n)] * length)) for n in counts]
        for part in (1, 5, 300):  # requests in a batch
            scores = np.concatenate([examples(tf.constant(alike[i : i + part]))["scores"].numpy() for i in range(0, 300, part)])
            assert (scores == scores[:, :1]).all()
            assert (np.diff(scores[np.argsort(counts), 0]) >= 0).all()


def test_shown_places_have_equal_scores_to_the_bit_wherever_they_stand_in_a_batch(tmp_path):
    _, examples, _ = doors(dataset(position=", position: p"), tmp_path)
    for place in (0, 3, 17, 4_000, 99_999):
        rows = [example(item=[b"a"] * length, position=[place] * length) for length in range(1, 40)]
        scores = set(examples(tf.constant(rows))["scores"].numpy().ravel().tolist())
        assert scores == {0.0, float(np.float32(1 / (2 + place)))}


def test_the_baseline_the_fallback_and_the_benchmarks_rank_by_the_same_popularity(tmp_path):
    rate = "  - {name: ctr, kind: state, side: item, measure: rate, action: click, per: view}\n"
    shop = dataset(CLICKS, rate)  # the count stands first; the rate is what the service falls back on
    assert popularity_column(shop) == "ctr_7d"
    rule, examples, _ = doors(shop, tmp_path)
    columns = {f"clicks_{h}": [9.0, 1.0, 1.0] for h in ("1h", "7d", "1d")} | {f"ctr_{h}": [0.1, 0.3, 0.2] for h in ("1h", "7d", "1d")}
    scores = examples(tf.constant([example(item=[b"a", b"b", b"c"], **columns)]))["scores"].numpy()[0]
    assert (rule, np.argsort(-scores).tolist()) == ("popularity", [1, 2, 0])
    assert popularity_scores({name: np.array([each]) for name, each in columns.items()}, popularity_column(shop), 3).tolist() == [
        0.1,
        0.3,
        0.2,
    ]
    ragged = {name: tf.ragged.constant([each], tf.float32) for name, each in columns.items()}
    unknown = {"position": tf.ragged.constant([[-1, -1, -1]], tf.int64)}
    assert np.argsort(-rules(shop, ragged | unknown)[POPULARITY]).tolist() == [1, 2, 0]


def test_without_order_and_counts_all_candidates_are_alike(tmp_path):
    rule, examples, serving = doors(dataset(), tmp_path)
    assert rule == "constant"
    assert examples(tf.constant([example(item=[b"a", b"b"]), example(item=[b"a"])]))["scores"].numpy().tolist() == [[0.5, 0.5], [0.5, 0]]
    assert serving(item=tf.constant([["a", ""]]), n_candidates=tf.constant([1], tf.int64))["scores"].numpy().tolist() == [[0.5, 0]]
