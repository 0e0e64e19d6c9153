"""A ranker behind its doors, through the server and directly."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.serving.model_server import made_model, request
from serving.model_server.inference.saved_model import LoadedModel
from serving.model_server.inference.tensors import Array
from tests.serving.model_server.conftest import Start


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("ranker")
    made_model(base / "1")
    return base


@pytest.fixture(scope="module")
def asked(ranker: Path) -> dict[str, Array]:
    model = LoadedModel(ranker / "1")
    made = request(model.signatures["serving_default"], candidates=7, events=3)
    model.close()
    return made


def test_scores_are_those_of_the_direct_call(start: Start, ranker: Path, asked: dict[str, Array]) -> None:
    client = start(model_base_path=str(ranker))
    loaded = tf.saved_model.load(str(ranker / "1"))
    direct = loaded.signatures["serving_default"](**{name: tf.constant(value) for name, value in asked.items()})["scores"].numpy()
    over_grpc = tf.make_ndarray(client.predict(asked, output_filter=["scores"]).outputs["scores"])
    columns = {name: np.vectorize(bytes.decode, otypes=[object])(v) if v.dtype == object else v for name, v in asked.items()}
    status, answer = client.post("/v1/models/default:predict", {"inputs": {name: value.tolist() for name, value in columns.items()}})
    assert direct.shape == (1, 7)
    assert len(set(direct.ravel().tolist())) == 7
    np.testing.assert_allclose(over_grpc, direct, atol=1e-6)
    assert status == 200
    np.testing.assert_allclose(np.array(answer["outputs"], np.float32), over_grpc, atol=1e-6)


def test_two_requests_in_a_batch_get_the_scores_they_get_alone(start: Start, ranker: Path, asked: dict[str, Array]) -> None:
    client = start(model_base_path=str(ranker), batching=True)
    other = {name: value[:, ::-1] if value.ndim > 1 else value for name, value in asked.items()}
    alone = [tf.make_ndarray(client.predict(one).outputs["scores"]) for one in (asked, other)]
    both = client.predict({name: np.concatenate([asked[name], other[name]]) for name in asked})
    np.testing.assert_allclose(tf.make_ndarray(both.outputs["scores"]), np.concatenate(alone), atol=1e-6)


def test_serialized_examples_are_scored_too(start: Start, ranker: Path, asked: dict[str, Array]) -> None:
    client = start(model_base_path=str(ranker))
    example = tf.train.Example()
    for name, value in asked.items():
        if not name.startswith("n_"):
            feature = example.features.feature[name]
            values = feature.bytes_list.value if value.dtype == object else feature.float_list.value
            values.extend(value.ravel().tolist())
    served = client.predict({"examples": np.array([example.SerializeToString()], object)}, signature="examples")
    dense = client.predict(asked)
    np.testing.assert_allclose(tf.make_ndarray(served.outputs["scores"]), tf.make_ndarray(dense.outputs["scores"]), atol=1e-6)
