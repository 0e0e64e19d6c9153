"""Check a delta of weights on a small model: what it holds, what it makes of its base, and what it refuses."""

import numpy as np
import pytest
import tensorflow as tf

from components.contract.errors import InputError
from trainer.refresh.weight_delta import apply_delta, read_delta, read_tensors, weight_delta, write_delta

TABLE, KERNEL, BIAS = (f"weights/{at}/.ATTRIBUTES/VARIABLE_VALUE" for at in range(3))
OLD = {TABLE: np.arange(8, dtype=np.float32).reshape(4, 2), KERNEL: np.ones((2, 1), np.float32), BIAS: np.float32(0.5)}
NEW = {TABLE: np.array([[0, 1], [2, 3.5], [4, 5], [60, 7]], np.float32), KERNEL: np.full((2, 1), 3, np.float32), BIAS: np.float32(0.5)}


def save(tensors, path):
    module = tf.Module()
    module.weights = [tf.Variable(tensors[name]) for name in (TABLE, KERNEL, BIAS)]
    table, kernel, bias = module.weights

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
    def score(ids):
        return {"scores": tf.gather(table, ids) @ kernel + bias}

    tf.saved_model.save(module, str(path), signatures={"serving_default": score})
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / "words").write_text("a\nb\n")
    return path


def scores(path):
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    return next(iter(signature(tf.constant([0, 1, 2, 3], tf.int64)).values())).numpy().ravel().tolist()


@pytest.fixture
def base(tmp_path):
    return save(OLD, tmp_path / "base")


def made(base, tmp_path):
    write_delta(weight_delta(base, NEW, {"trained_until_us": 7}), tmp_path / "weights.delta")
    return read_delta(tmp_path / "weights.delta")


def test_a_delta_has_the_changed_rows_of_a_table_and_other_changed_weights_whole(base, tmp_path):
    delta = made(base, tmp_path)
    ((table, (at, values)),) = delta.rows.items()
    assert (table, at.tolist(), values.tolist()) == (TABLE, [1, 3], [[2, 3.5], [60, 7]])
    assert {name: value.tolist() for name, value in delta.whole.items()} == {KERNEL: [[3], [3]]}
    assert delta.notes == {"trained_until_us": 7}


def test_base_and_delta_make_the_model_with_the_new_weights(base, tmp_path):
    delta = made(base, tmp_path)
    apply_delta(base, delta, tmp_path / "built")
    assert scores(tmp_path / "built") == scores(save(NEW, tmp_path / "anew"))
    assert scores(base) != scores(tmp_path / "built")
    assert (tmp_path / "built" / "saved_model.pb").read_bytes() == (base / "saved_model.pb").read_bytes()
    assert (tmp_path / "built" / "assets.extra" / "words").read_text() == "a\nb\n"
    apply_delta(base, delta, tmp_path / "again")
    for file in ("variables.index", "variables.data-00000-of-00001"):
        assert (tmp_path / "again" / "variables" / file).read_bytes() == (tmp_path / "built" / "variables" / file).read_bytes()


def test_a_delta_is_refused_on_any_other_model(base, tmp_path):
    delta = made(base, tmp_path)
    (base / "assets.extra" / "words").write_text("b\na\n")
    with pytest.raises(InputError, match="expected the model of digest"):
        apply_delta(base, delta, tmp_path / "built")
    assert not (tmp_path / "built").exists()


def test_a_damaged_file_is_refused(base, tmp_path):
    made(base, tmp_path)
    file = tmp_path / "weights.delta"
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(InputError, match="found none that is complete"):
        read_delta(file)


def test_a_weight_of_another_shape_is_refused(base):
    with pytest.raises(InputError, match="a delta changes no vocabulary"):
        weight_delta(base, {TABLE: np.zeros((5, 2), np.float32)}, {})


def test_an_unchanged_model_has_an_empty_delta(base):
    delta = weight_delta(base, OLD, {})
    assert (dict(delta.rows), dict(delta.whole)) == ({}, {})
    assert read_tensors(base)[BIAS] == np.float32(0.5)
