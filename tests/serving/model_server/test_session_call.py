"""The way into TensorFlow's session: the private callable, and what stands in where it is gone."""

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving.model_server.inference.saved_model import LoadedModel, session_call


class WithoutCallable(tf.compat.v1.Session):
    """A session of a TensorFlow that has no such private method any more."""

    _make_callable_from_options = None


@pytest.mark.parametrize("session_type", [tf.compat.v1.Session, WithoutCallable])
@pytest.mark.parametrize("in_caller", [True, False])
def test_both_ways_give_the_same(session_type: type[tf.compat.v1.Session], in_caller: bool) -> None:
    with tf.Graph().as_default(), session_type() as session:
        a = tf.compat.v1.placeholder(tf.float32, [None], name="a")
        b = tf.compat.v1.placeholder(tf.float32, [None], name="b")
        tf.add(a, b, name="sum")
        tf.subtract(a, b, name="difference")
        call = session_call(session, ["b:0", "a:0"], ["difference:0", "sum:0"], in_caller=in_caller)
        difference, total = call(np.array([1.0], "f"), np.array([3.0], "f"))
    assert (difference.tolist(), total.tolist()) == ([2.0], [4.0])


def test_a_model_runs_what_is_asked_and_a_scalar_is_an_array(model_files: Path) -> None:
    model = LoadedModel(model_files / "echo" / "1")
    try:
        (word,) = model.run({"x_string:0": np.array(b"a", object)}, [model.signatures["string"].outputs["y"].name], deadline=0)
        (number,) = model.run({"x_int32:0": np.array(3, np.int32)}, [model.signatures["int32"].outputs["y"].name], deadline=0)
    finally:
        model.close()
    assert (word.dtype, word.tolist()) == (np.dtype(object), b"a")
    assert (number.dtype, number.tolist()) == (np.dtype(np.int32), 3)


def test_a_closed_model_is_gone_without_the_garbage_collector(model_files: Path) -> None:
    gc.disable()
    try:
        model = LoadedModel(model_files / "half_plus_two_tf2" / "123")
        signature = model.signatures["serving_default"]
        model.run({signature.inputs["x"].name: np.ones((1, 1), "f")}, [signature.outputs["y"].name], deadline=0)
        graph = weakref.ref(model._session.graph)
        model.close()
        assert graph() is None
    finally:
        gc.enable()
