from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.quality.split_data import files, newest, read
from components.contract.errors import InputError
from components.contract.load import parse_dataset

SHOP = parse_dataset("""
name: shop
events: {path: e.csv, columns: {time: t, user: u, item: i, action: a, request: r}}
actions: {view: {}, click: {label: 1}, buy: {label: 4}}
candidates: {from: impressions, action: view}
features:
  - {name: price, kind: number, side: item, source: events}
""")

# Shown to ann, to a guest, and to another guest.
REQUESTS = (
    ("r1", "ann", ["a", "b", "c"], [0, 1, 1], [0, 0, 1]),
    ("r2", "", ["a"], [0], [0]),
    ("r3", "", ["d", "a"], [0, 1], [0, 0]),
)


def example(request: str, user: str, items: list[str], clicks: list[int], bought: list[int]) -> bytes:
    texts = {"request": [request], "user": [user], "item": items}
    numbers = {"label": np.maximum(clicks, bought), "label_click": clicks, "label_buy": bought, "price": [1.5] * len(items)}
    whole = {"time": [0], "interactions": [0], "position": list(range(len(items)))}
    given = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode() for text in each])) for name, each in texts.items()}
    given |= {name: tf.train.Feature(float_list=tf.train.FloatList(value=each)) for name, each in numbers.items()}
    given |= {name: tf.train.Feature(int64_list=tf.train.Int64List(value=each)) for name, each in whole.items()}
    return tf.train.Example(features=tf.train.Features(feature=given)).SerializeToString()


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    for split, parts in (("test", (REQUESTS[:1], REQUESTS[1:])), ("train", (REQUESTS[:1],))):
        (folder / f"Split-{split}").mkdir()
        for at, part in enumerate(parts):
            with tf.io.TFRecordWriter(str(folder / f"Split-{split}" / f"part-{at}")) as writer:
                for request in part:
                    writer.write(example(*request))
    return folder


def test_the_requests_of_a_split_are_read_in_the_order_of_their_files(examples: Path) -> None:
    assert [Path(name).name for name in files(examples, "test")] == ["part-0", "part-1"]
    judged, views = read(SHOP, examples, "test", [])
    assert views == []
    assert judged.row_lengths.tolist() == [3, 1, 2]
    assert judged.labels.tolist() == [0, 1, 1, 0, 0, 1]


def test_a_candidate_is_worth_its_best_action(examples: Path) -> None:
    judged, _ = read(SHOP, examples, "test", [])
    assert judged.gains.tolist() == [0, 1, 4, 0, 0, 1]


def test_each_request_of_a_guest_is_a_shopper_of_its_own(examples: Path) -> None:
    judged, _ = read(SHOP, examples, "test", [])
    assert len(set(judged.users.tolist())) == 3
    again, _ = read(SHOP, examples, "train", [])
    assert again.users[0] == judged.users[0]


def test_views_are_taken_in_the_same_pass_and_joined(examples: Path) -> None:
    def items(records: tf.Tensor, features: dict) -> dict:
        assert len(records) == features["item"].nrows()
        return {"item": features["item"].flat_values.numpy()}

    _, (found, twice) = read(SHOP, examples, "test", [items, items])
    assert found["item"].tolist() == [b"a", b"b", b"c", b"a", b"d", b"a"]
    assert twice["item"].tolist() == found["item"].tolist()


def test_scores_are_judged_by_request(examples: Path) -> None:
    judged, _ = read(SHOP, examples, "test", [])
    metrics = judged.sums(np.array([3, 2, 1, 5, 4, 4.5], np.float32)).values()
    # First positive of r1 in place 2, of r3 in place 1; r2 has none.
    assert metrics["mrr"] == pytest.approx((1 / 2 + 1) / 2)
    # Positives score 2, 1, 4.5, negatives 3, 5, 4: only 4.5 beats any, 3 and 4.
    assert metrics["auc"] == pytest.approx(2 / 9)


def test_the_newest_artifact_has_the_greatest_number(tmp_path: Path) -> None:
    for name in ("9", "10", "notes"):
        (tmp_path / "artifacts" / "Trainer" / "model" / name).mkdir(parents=True)
    assert newest(tmp_path, "Trainer/model").name == "10"


def test_a_run_without_the_artifact_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected artifacts of a run in .*Trainer/model, found none; run the graph"):
        newest(tmp_path, "Trainer/model")
