"""The drops are those of a model whose inputs are known, with intervals that hold what fresh requests give."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from tfx.types.experimental.simple_artifacts import File
from tfx.types.standard_artifacts import Examples, Model
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from components.contract.errors import InputError
from components.contract.load import parse_dataset
from components.evaluation.importance import request_sample
from components.evaluation.importance.component import FeatureImportance
from components.evaluation.importance.feature_importance import Importance, importance
from components.evaluation.importance.request_sample import drawn, sampled
from components.evaluation.tfma.saved_model_scorer import SavedModelScorer
from components.schema import signatures
from components.schema.parsing import Features

TEXT = """
name: shop
seed: 5
events: {path: e.csv, columns: {time: time, user: user, item: item, action: action, request: request}}
actions: {view: {}, click: {label: 1}}
candidates: {from: impressions, action: view}
features:
  - {name: mood, kind: number, side: context}
  - {name: item, kind: id, side: item}
  - {name: taste, kind: number, side: item, source: events}
  - {name: price, kind: number, side: item, source: events}
  - {name: price_in_list, kind: list, side: item, of: price}
  - {name: noise, kind: number, side: item, source: events}
"""
DATASET = parse_dataset(TEXT)
L = 6


def requests(n: int, seed: int) -> pa.RecordBatch:
    """Clicks by mood, taste and the price's distance from the list's mean."""
    rng = np.random.default_rng(seed)
    mood = rng.normal(size=(n, 1))
    taste, noise = rng.normal(size=(2, n, L))
    price = 3 * rng.random((n, 1)) + rng.random((n, L))
    logit = -1.5 + 0.7 * mood + taste - 3 * (price - price.mean(axis=1, keepdims=True))
    label = rng.random((n, L)) < 1 / (1 + np.exp(-logit))
    floats = {"mood": mood, "taste": taste, "price": price, "noise": noise, "label": label}
    columns = {name: pa.array(values.astype(np.float32).tolist(), pa.list_(pa.float32())) for name, values in floats.items()}
    columns |= {
        name: pa.array([[b"%s%d" % (name.encode(), i // 3)] for i in range(n)], pa.list_(pa.binary())) for name in ("user", "request")
    }
    columns["item"] = pa.array([[b"i%d" % rng.integers(50) for _ in range(L)] for _ in range(n)], pa.list_(pa.binary()))
    return pa.record_batch(columns)


def score(features: Features, splits: tf.Tensor) -> tf.Tensor:
    """The probability behind the labels."""
    row = tf.repeat(tf.range(tf.size(splits) - 1), splits[1:] - splits[:-1])
    price = features["price"]
    distance = price.flat_values - tf.gather(tf.reduce_mean(price, axis=1), row)
    return tf.sigmoid(-1.5 + 0.7 * tf.gather(features["mood"], row) + features["taste"].flat_values - 3 * distance)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "Format-Serving"
    signatures.save(tf.Module(), lambda *given: {"scores": score(*given)}, str(folder), dataset=DATASET)
    return folder


@pytest.fixture(scope="module")
def found(model: Path) -> Importance:
    return importance(requests(600, seed=1), SavedModelScorer(str(model)), dataset=DATASET)


def drops(found: Importance, metric: str = "auc") -> dict[str, tuple[float, float]]:
    return {each.feature: (each.drops[metric].value, each.drops[metric].margin) for each in found.features}  # type: ignore[misc]


def test_what_the_model_goes_by_drops_and_what_it_does_not_read_is_exactly_nothing(found: Importance) -> None:
    by_auc = drops(found)
    assert list(by_auc) == [feature.name for feature in DATASET.features]
    for unread in ("item", "noise"):
        assert by_auc[unread] == (0.0, 0.0)
    for read in ("mood", "taste", "price", "price_in_list"):
        value, margin = by_auc[read]
        assert value > margin > 0, read


def test_a_feature_of_the_request_moves_auc_but_no_order_within_a_list(found: Importance) -> None:
    assert drops(found, "ndcg_at_10")["mood"][0] == pytest.approx(0, abs=1e-9)
    assert drops(found, "ndcg_at_10")["taste"][0] > 0.05


def test_a_number_that_only_its_list_gives_meaning_drops_by_its_list_feature(found: Importance) -> None:
    # Among another list's prices, three apart, a price says next to nothing; so it does when it is another's.
    auc = drops(found)
    assert auc["price_in_list"][0] == pytest.approx(auc["price"][0], rel=0.5)


def test_intervals_hold_the_drop_on_many_requests(model: Path, found: Importance) -> None:
    many = importance(requests(6_000, seed=2), SavedModelScorer(str(model)), dataset=DATASET)
    for metric in ("auc", "ndcg_at_10"):
        truth = drops(many, metric)
        for feature, (value, margin) in drops(found, metric).items():
            assert abs(value - truth[feature][0]) <= 1.5 * margin + 1e-9, (metric, feature)


def test_the_same_seed_gives_the_same_bytes_and_json_gives_it_back(model: Path, found: Importance) -> None:
    again = importance(requests(600, seed=1), SavedModelScorer(str(model)), dataset=DATASET)
    assert json.dumps(again.to_json()) == json.dumps(found.to_json())
    assert Importance.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found


def test_what_is_undefined_is_said_to_be_and_no_request_is_an_error(model: Path) -> None:
    one = requests(1, seed=3)
    without = one.set_column(one.schema.get_field_index("label"), "label", pa.array([[0.0] * L], pa.list_(pa.float32())))
    undefined = importance(without, SavedModelScorer(str(model)), dataset=DATASET)
    assert all(drop.value is None for each in undefined.features for drop in each.drops.values())
    assert undefined.ranked("auc") == ()
    with pytest.raises(InputError, match="widen the test window"):
        importance(one.slice(0, 0), SavedModelScorer(str(model)), dataset=DATASET)


def serialized(block: pa.RecordBatch) -> list[bytes]:
    return list(RecordBatchToExamplesEncoder().encode(block))


def write(folder: Path, records: list[bytes], files: int) -> None:
    (folder / "Split-test").mkdir(parents=True)
    for part in range(files):
        with tf.io.TFRecordWriter(str(folder / "Split-test" / f"part-{part:05d}-of-{files:05d}")) as writer:
            for record in records[part::files]:
                writer.write(record)


def test_a_sample_is_bounded_and_the_same_however_the_requests_lie_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = serialized(requests(90, seed=4))
    write(tmp_path / "one", records, 1)
    write(tmp_path / "three", records, 3)
    assert sampled(str(tmp_path / "one"), "test", seed=1).num_rows == 90
    monkeypatch.setattr(request_sample, "MAX_REQUESTS", 20)
    first, second = (sampled(str(tmp_path / name), "test", seed=1) for name in ("one", "three"))
    assert first.num_rows == 20
    assert first.equals(second)
    assert not first.equals(sampled(str(tmp_path / "one"), "test", seed=2))
    monkeypatch.setattr(request_sample, "LOOKED_THROUGH", 7)
    assert sampled(str(tmp_path / "one"), "test", seed=1).num_rows == 7


def test_a_sample_of_long_requests_is_bounded_by_bytes_and_never_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_sample, "MAX_BYTES", 25)
    assert len(drawn([b"%010d" % i for i in range(9)], seed=0)) == 2
    assert len(drawn([b"%040d" % i for i in range(9)], seed=0)) == 1
    assert drawn([], seed=0) == []


def test_the_component_writes_the_importance_of_the_exported_model(tmp_path: Path, model: Path) -> None:
    write(tmp_path / "examples", serialized(requests(50, seed=5)), 1)
    given, trained, report = Examples(), Model(), File()
    given.uri, trained.uri, report.uri = str(tmp_path / "examples"), str(model.parent), str(tmp_path / "report")
    Path(report.uri).mkdir()
    FeatureImportance.test_call(examples=given, model=trained, dataset=TEXT, code="c", report=report)
    written = Importance.from_json(json.loads((tmp_path / "report" / "importance.json").read_text()))
    assert (written.requests, written.candidates) == (50, 50 * L)
    assert {each.feature for each in written.features} == {feature.name for feature in DATASET.features}


def test_what_is_told_of_a_feature_does_not_depend_on_the_others(model: Path, found: Importance) -> None:
    lines = TEXT.splitlines()
    fewer = parse_dataset("\n".join(line for line in lines if "mood" not in line and "noise" not in line))
    again = importance(requests(600, seed=1), SavedModelScorer(str(model)), dataset=fewer)
    assert drops(again) == {name: drop for name, drop in drops(found).items() if name not in ("mood", "noise")}
