"""TFX's Evaluator with our metric: the same numbers as numpy on the same data, and a blessing that the verdict explains."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from tensorflow_model_analysis.evaluators.metrics_validator import validate_metrics
from tensorflow_model_analysis.metrics.metric_types import MetricKey
from tensorflow_model_analysis.proto import config_pb2, validation_result_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import proto_utils

from components.contract.dataset import Gates
from components.contract.errors import InputError, RunError
from components.evaluation.component import Executor
from components.evaluation.gates.gate_result import check_gates
from components.evaluation.metrics.arrow_columns import candidate_values, shoppers
from components.evaluation.metrics.id_hashes import hashed
from components.evaluation.metrics.metric_accumulator import METRICS, RankingSums, gains_from
from components.evaluation.metrics.standard_errors import error_of, estimates
from components.evaluation.results import CHALLENGER, CHAMPION, SliceMetrics
from components.evaluation.tfma.eval_config import eval_config, gates_of, settings_of
from components.evaluation.tfma.results import read_metrics
from components.evaluation.tfma.saved_model_scorer import unpadded
from tests.components.evaluation.metrics_by_definition import amount_at_k, ndcg_at_k
from tests.components.evaluation.summed import sums

GAINS = {"label_click": 1.0, "label_purchase": 3.0}
SLICES = [["device"], ["country", "hour"]]
BY_ITEM = [["price"], ["device", "price"], ["hour"]]
BANDS = {"price": (0.3, 0.7), "hour": (1.0,)}
OURS = "components.evaluation.tfma.steps"
TFMA = None


@dataclass(frozen=True)
class Request:
    features: dict[str, list[bytes] | list[int]]
    click: np.ndarray
    purchase: np.ndarray
    price: np.ndarray
    shown: np.ndarray

    def items(self) -> list[bytes]:
        return [b"item %d" % i for i in range(len(self.price))]

    def revenue(self) -> np.ndarray:
        return np.float32(20) * self.price * self.purchase

    def example(self) -> tf.train.Example:
        values = {name: [float(v) for v in getattr(self, name)] for name in ("price", "shown")}
        values |= {"label": np.maximum(self.click, self.purchase), "label_click": self.click, "label_purchase": self.purchase}
        values["revenue"] = self.revenue()
        features = {name: tf.train.Feature(float_list=tf.train.FloatList(value=value)) for name, value in values.items()}
        features["item"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=self.items()))
        for name, value in self.features.items():
            kind = "int64_list" if name == "hour" else "bytes_list"
            features[name] = tf.train.Feature()
            getattr(features[name], kind).value.extend(value)
        return tf.train.Example(features=tf.train.Features(feature=features))


def _requests(n: int) -> Iterator[Request]:
    rng = np.random.default_rng(7)
    for i in range(n):
        length = int(rng.integers(1, 14))
        price = np.round(rng.random(length), 1).astype(np.float32)  # ties
        click = (rng.random(length) < 0.5 * price).astype(np.float32)
        features: dict[str, list[bytes] | list[int]] = {
            "device": [b"ios", b"android", b""][i % 3 :][:1],
            "country": [b"DE"],
            "hour": [i % 2],
            "user": [b"" if i % 7 == 0 else b"user %d" % (i % 40)],
            "request": [b"request %d" % i],
        }
        yield Request(features, click, click * (rng.random(length) < 0.3), price, 1 / np.arange(1, length + 1, dtype=np.float32))


REQUESTS = tuple(_requests(200))


class _OneFeature(tf.Module):  # type: ignore[misc]
    """Scores by one feature, padded to the longest list of the batch."""

    def __init__(self, feature: str) -> None:
        super().__init__()
        self.feature = feature

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.io.parse_example(examples, {self.feature: tf.io.RaggedFeature(tf.float32)})[self.feature]
        return {"scores": values.to_tensor(-1.0)}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shop")
    (root / "examples" / "Split-test").mkdir(parents=True)
    for part in range(2):
        with tf.io.TFRecordWriter(str(root / "examples" / "Split-test" / f"part-0000{part}-of-00002")) as writer:
            for request in REQUESTS[part::2]:
                writer.write(request.example().SerializeToString())
    for feature in ("price", "shown"):
        module = _OneFeature(feature)
        tf.saved_model.save(module, str(root / feature / "Format-Serving"), signatures={"examples": module.examples})
    return root


def _evaluate(shop: Path, config: config_pb2.EvalConfig, *, challenger: str, champion: str, extractors: str | None) -> tuple[str, bool]:
    """The evaluation's folder, and whether TFX blessed the model."""
    examples, model, baseline = standard_artifacts.Examples(), standard_artifacts.Model(), standard_artifacts.Model()
    evaluation, blessing = standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing()
    examples.uri, model.uri, baseline.uri = str(shop / "examples"), str(shop / challenger), str(shop / champion)
    examples.split_names = artifact_utils.encode_split_names(["test"])
    out = shop / f"{challenger}_{champion}_{extractors}"
    evaluation.uri, blessing.uri = str(out / "evaluation"), str(out / "blessing")
    Executor(Executor.Context(beam_pipeline_args=["--runner=FnApiRunner"], tmp_dir=str(shop / "tmp"), unique_id="1")).Do(
        {"examples": [examples], "model": [model], "baseline_model": [baseline]},
        {"evaluation": [evaluation], "blessing": [blessing]},
        {"eval_config": proto_utils.proto_to_json(config), "example_splits": json.dumps(["test"]), "module_path": extractors},
    )
    return evaluation.uri, (out / "blessing" / "BLESSED").exists()


def _meets_thresholds(uri: str) -> bool:
    (path,) = tf.io.gfile.glob(f"{uri}/validations*.tfrecord")
    (record,) = tf.data.TFRecordDataset(path)
    return bool(validation_result_pb2.ValidationResult.FromString(record.numpy()).validation_ok)


def _expected(where: dict[str, str], score: str) -> RankingSums:
    chosen = [r for r in REQUESTS if all(str(_text(r.features[name])) == value for name, value in where.items())]
    labels = {f"label_{action}": np.concatenate([getattr(r, action) for r in chosen]) for action in ("click", "purchase")}
    scores = np.concatenate([getattr(r, score) for r in chosen])
    return sums(
        np.maximum(labels["label_click"], labels["label_purchase"]),
        scores,
        gains=gains_from(labels, GAINS),
        row_lengths=np.array([len(r.price) for r in chosen]),
        users=hashed(pa.array([r.features["user"][0] or r.features["request"][0] for r in chosen])),
        items=hashed(pa.array([item for r in chosen for item in r.items()])),
    )


def _text(values: list[bytes] | list[int]) -> str:
    (value,) = values
    return value.decode() if isinstance(value, bytes) else str(value)


def _meets_thresholds(uri: str) -> bool:
    (path,) = tf.io.gfile.glob(f"{uri}/validations*.tfrecord")
    (record,) = tf.data.TFRecordDataset(path)
    return bool(validation_result_pb2.ValidationResult.FromString(record.numpy()).validation_ok)


def _gates(**gates: object) -> Gates:
    return Gates.model_validate({"floor": {"auc": 0.55}, "drop": {"auc": 0.005}, "slice_drop": {"auc": 0.03}, "min_shoppers": 20} | gates)


@pytest.mark.parametrize("extractors", [OURS, pytest.param(TFMA, marks=pytest.mark.slow)])
def test_evaluator_gives_the_numbers_of_numpy_for_every_slice_and_blesses(shop: Path, extractors: str | None) -> None:
    config = eval_config(SLICES, _gates(), gains=GAINS)
    uri, blessed = _evaluate(shop, config, challenger="price", champion="shown", extractors=extractors)
    metrics = read_metrics(uri)
    assert {entry.slice for entry in metrics} == {
        (),
        *((("device", device),) for device in ("ios", "android", "")),
        *((("country", "DE"), ("hour", hour)) for hour in ("0", "1")),
    }
    assert len(metrics) == 2 * 6
    for entry in metrics:
        both = {"challenger": _expected(dict(entry.slice), "price"), "champion": _expected(dict(entry.slice), "shown")}
        expected = estimates(both, baseline="champion")[entry.model]
        assert dict(entry.values) == pytest.approx(expected, abs=1e-6, nan_ok=True), entry
    assert blessed
    assert _meets_thresholds(uri)
    assert check_gates(metrics, _gates(), slices=SLICES).passed


def test_evaluator_tells_amounts_and_counts_gains_in_them(shop: Path) -> None:
    """Over all requests and within slices, by the definitions request by request."""
    config = eval_config(SLICES, _gates(), gains=GAINS, amounts=["revenue"], gain_amounts={"label_purchase": "revenue"})
    uri, blessed = _evaluate(shop, config, challenger="price", champion="price", extractors=OURS)
    assert blessed
    for entry in read_metrics(uri):
        chosen = [r for r in REQUESTS if all(str(_text(r.features[name])) == value for name, value in entry.slice)]
        earned = [(r, float(r.revenue().sum())) for r in chosen if r.revenue().any()]
        for k in (1, 5, 10):
            captured = sum(total * amount_at_k(r.revenue(), r.price, k=k) for r, total in earned)
            assert entry.values[f"revenue_at_{k}"] == pytest.approx(captured / sum(total for _, total in earned), abs=1e-6)
        gains = [np.maximum(r.click, 3 * r.revenue()) for r in chosen]
        ndcg = [ndcg_at_k(gain, r.price, k=10) for gain, r in zip(gains, chosen, strict=True) if gain.any()]
        assert entry.values["ndcg_at_10"] == pytest.approx(np.mean(ndcg), abs=1e-6)
        assert entry.values[error_of("revenue_at_5")] > 0
        assert not {"margin_at_5", "quantity_at_5"} & set(entry.values)


def test_slices_of_items_hold_the_candidates_of_that_value(shop: Path) -> None:
    config = eval_config(BY_ITEM, _gates(slice_drop={}), gains=GAINS, bands=BANDS, item_slices=["price"])
    uri, _ = _evaluate(shop, config, challenger="shown", champion="price", extractors=OURS)
    found = {entry.slice: entry.values for entry in read_metrics(uri) if entry.model == "challenger"}
    price, shown = (np.concatenate([getattr(r, name) for r in REQUESTS]) for name in ("price", "shown"))
    clicked = np.concatenate([np.maximum(r.click, r.purchase) for r in REQUESTS])
    dear = price >= np.float32(0.7)
    where = (("price", "from 0.7"),)
    assert found[where]["impressions"] == dear.sum()
    assert found[where]["auc"] == pytest.approx(roc_auc_score(clicked[dear], shown[dear]))
    assert math.isnan(found[where]["ndcg_at_5"])
    assert sum(values["impressions"] for key, values in found.items() if [name for name, _ in key] == ["device", "price"]) == sum(
        len(r.price) for r in REQUESTS
    )
    assert {dict(key)["hour"] for key in found if "hour" in dict(key)} == {"0", "1+"}


def test_evaluator_refuses_a_model_that_is_worse_in_a_slice(shop: Path) -> None:
    gates = _gates(floor={}, drop={})
    uri, blessed = _evaluate(shop, eval_config(SLICES, gates, gains=GAINS), challenger="shown", champion="price", extractors=OURS)
    found = check_gates(read_metrics(uri), gates, slices=SLICES)
    assert not blessed
    assert not found.passed
    assert "in device=ios" in " ".join(found.sentences)


METRIC = st.sampled_from([0.5, 0.52, 0.55, 0.6, math.nan])
VALUES = st.fixed_dictionaries({"auc": METRIC, "ndcg_at_10": METRIC, "invalid_scores": st.sampled_from([0.0, 0.0, 0.0, 1.0])})
LIMITS = st.dictionaries(st.sampled_from(["auc", "ndcg_at_10"]), st.sampled_from([0.0, 0.5, 0.52, 0.56]))


@settings(max_examples=300)
@given(challenger=VALUES, champion=VALUES, gates=st.builds(Gates, floor=LIMITS, drop=st.just({}), slice_drop=st.just({})))
def test_verdict_and_the_thresholds_of_tfma_agree(challenger: dict[str, float], champion: dict[str, float], gates: Gates) -> None:
    """What TFMA holds itself, `Evaluator` must find alike: a blessing that it takes back has a sentence."""
    metrics, named = [], {}
    for model, values in ((CHALLENGER, challenger), (CHAMPION, champion)):
        mine = dict.fromkeys(METRICS, 0.0) | values
        metrics.append(SliceMetrics((), model, mine))
        named |= {MetricKey(name, model_name=model, example_weighted=None): value for name, value in mine.items()}
    result = validate_metrics(((), named), eval_config([], gates, gains=GAINS))
    assert check_gates(metrics, gates, slices=[]).passed == result.validation_ok


def test_a_fall_over_the_whole_window_takes_the_blessing_back(shop: Path) -> None:
    config = eval_config([], _gates(floor={}), gains=GAINS)
    uri, blessed = _evaluate(shop, config, challenger="shown", champion="price", extractors=OURS)
    assert _meets_thresholds(uri)  # TFMA's own thresholds have nothing against it
    assert not blessed
    assert not check_gates(read_metrics(uri), _gates(floor={}), slices=[]).passed


def test_config_gives_back_the_gates() -> None:
    assert gates_of(eval_config(SLICES, _gates(), gains=GAINS)) == (_gates(), [sorted(names) for names in SLICES])


def test_reading_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="run the Evaluator again"):
        read_metrics(str(tmp_path))


def test_config_gives_back_its_settings() -> None:
    settings = settings_of(eval_config([], Gates(), gains=GAINS, bands={"price": (1.0, 5.0)}, item_slices=["price"]))
    assert (settings["gains"], settings["bands"], settings["item_slices"]) == (GAINS, {"price": [1.0, 5.0]}, ["price"])


def test_a_guest_is_a_shopper_of_his_own() -> None:
    users = pa.array([[b"ann"], [b""], None, [b"ann"]], pa.list_(pa.binary()))
    block = pa.record_batch({"user": users, "request": pa.array([[b"r1"], [b"r2"], [b"r3"], [b"r4"]], pa.list_(pa.binary()))})
    found = shoppers(block)
    assert found is not None
    assert found[0] == found[3]
    assert len(set(found.tolist())) == 3
    assert shoppers(block.select(["user"])) is None


def test_guests_whose_requests_share_an_id_are_told_apart_by_time() -> None:
    texts = lambda *values: pa.array([[value] for value in values], pa.list_(pa.binary()))  # noqa: E731
    times = pa.array([[1], [2], [1], [2]], pa.list_(pa.int64()))
    block = pa.record_batch({"user": texts(b"", b"", b"ann", b"ann"), "request": texts(b"1", b"1", b"1", b"1"), "time": times})
    found = shoppers(block)
    assert found is not None
    assert found[2] == found[3]
    assert len(set(found.tolist())) == 3


def test_a_request_without_the_feature_has_no_candidates() -> None:
    block = pa.record_batch({"label": pa.array([[1.0], None, [], [0.0, 1.0]], pa.list_(pa.float32())), "none": pa.nulls(4)})
    values, lengths = candidate_values(block, "label")
    assert values.tolist() == [1, 0, 1]
    assert lengths.tolist() == [1, 0, 0, 2]
    assert candidate_values(block, "none")[1].tolist() == [0, 0, 0, 0]
    with pytest.raises(InputError, match="found label, none"):
        candidate_values(block, "labels")


def test_padding_is_cut_and_a_missing_score_is_an_error() -> None:
    scores = np.array([[0.1, 0.2, -1], [0.3, -1, -1]], np.float32)
    assert unpadded(scores, np.array([2, 1]), model="m").tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert unpadded(scores[:, :0], np.array([0, 0]), model="m").tolist() == []
    for lengths in ([4, 1], [2], [2, 1, 0]):
        with pytest.raises(InputError, match="from model 'm'"):
            unpadded(scores, np.array(lengths), model="m")
