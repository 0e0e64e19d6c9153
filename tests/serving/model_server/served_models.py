"""Small models for the tests of a model server, and the configuration that serves them.

`python -m tests.serving.model_server.served_models FOLDER` writes them for a real server, which is then started with

    tensorflow_model_server --port=8500 --rest_api_port=8501 --model_config_file=FOLDER/models.config \
        --monitoring_config_file=FOLDER/monitoring.config --enable_grpc_healthcheck_service --allow_version_labels_for_unavailable_models

and named to the tests by SHELFRANK_MODEL_SERVER=HOST:8500:8501.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

v1 = tf.compat.v1
Tensors = Mapping[str, tf.Tensor]
PREDICT, CLASSIFY, REGRESS = (f"tensorflow/serving/{method}" for method in ("predict", "classify", "regress"))


def signature(inputs: Tensors, outputs: Tensors, method: str = PREDICT, defaults: Mapping[str, float] | None = None) -> object:
    info = v1.saved_model.build_tensor_info
    made = v1.saved_model.build_signature_def(
        inputs={name: info(tensor) for name, tensor in inputs.items()},
        outputs={name: info(tensor) for name, tensor in outputs.items()},
        method_name=method,
    )
    for name, value in (defaults or {}).items():
        made.defaults[name].CopyFrom(tf.make_tensor_proto([value], tf.float32))
    return made


def save_session(folder: Path, signatures: Mapping[str, object], session: v1.Session) -> None:
    builder = v1.saved_model.Builder(str(folder))
    builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
    builder.save()


def half_plus(folder: Path, add: float) -> None:
    """y = x / 2 + add, exported from a session: by tensor, and by tf.Examples with the feature x."""
    with tf.Graph().as_default(), v1.Session() as session:
        half, more = v1.Variable(0.5), v1.Variable(add)
        x = v1.placeholder(tf.float32, [None, 1], name="x")
        y = tf.add(x * half, more, name="y")
        serialized = v1.placeholder(tf.string, [None], name="tf_example")
        parsed = v1.io.parse_example(serialized, {"x": v1.io.FixedLenFeature([1], tf.float32)})["x"]
        of_examples = tf.identity(parsed * half + more)
        session.run(v1.global_variables_initializer())
        signatures = {
            "serving_default": signature({"x": x}, {"y": y}),
            "regress_x_to_y": signature({"inputs": serialized}, {"outputs": of_examples}, REGRESS),
            "classify_x_to_y": signature({"inputs": serialized}, {"scores": of_examples}, CLASSIFY),
        }
        save_session(folder, signatures, session)


class HalfPlusTwo(tf.Module):
    """The same, exported as TensorFlow 2 does: every signature says it predicts."""

    def __init__(self) -> None:
        self.half, self.two = tf.Variable(0.5), tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
    def predict(self, x: tf.Tensor) -> Tensors:
        return {"y": x * self.half + self.two}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress(self, inputs: tf.Tensor) -> Tensors:
        return {"outputs": self._of(inputs)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs: tf.Tensor) -> Tensors:
        return {"scores": self._of(inputs)}

    def _of(self, serialized: tf.Tensor) -> tf.Tensor:
        return tf.io.parse_example(serialized, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"] * self.half + self.two


def half_plus_two_tf2(folder: Path) -> None:
    model = HalfPlusTwo()
    signatures = {"serving_default": model.predict, "regress_x_to_y": model.regress, "classify_x_to_y": model.classify}
    tf.saved_model.save(model, str(folder), signatures=signatures)


ECHOED = ("float", "double", "int32", "int64", "uint8", "uint32", "bool", "string", "half")


def echo(folder: Path) -> None:
    """A signature for each type that gives its input back, and some that answer in shapes of their own."""
    with tf.Graph().as_default(), v1.Session() as session:
        signatures = {}
        for name in ECHOED:
            x = v1.placeholder(tf.as_dtype(name if name != "float" else "float32"), name=f"x_{name}")
            signatures[name] = signature({"x": x}, {"y": tf.identity(x)})
        numbers, words = v1.placeholder(tf.int32, name="int_tensor"), v1.placeholder(tf.string, name="str_tensor")
        both = {"int_tensor": numbers, "str_tensor": words}
        signatures["two_inputs"] = signature(both, {"doubled": numbers * 2, "word": tf.identity(words)})
        x = v1.placeholder(tf.float32, name="x_uneven")
        signatures["uneven"] = signature({"x": x}, {"all": tf.identity(x), "first": x[:1]})
        words = v1.placeholder(tf.string, name="x_bytes")
        signatures["bytes"] = signature({"x": words}, {"y": tf.identity(words), "y_bytes": tf.identity(words)})
        a, b = v1.placeholder(tf.float32, name="a"), v1.placeholder(tf.float32, name="b")
        signatures["sum"] = signature({"a": a, "b": b}, {"y": a + b}, defaults={"b": 10.0})
        signatures["classes"] = classes()
        save_session(folder, signatures, session)


def classes() -> object:
    """Classification by label and score: each example's words, each with the length of the word."""
    serialized = v1.placeholder(tf.string, [None], name="examples")
    words = v1.io.parse_example(serialized, {"word": v1.io.FixedLenFeature([2], tf.string)})["word"]
    return signature({"inputs": serialized}, {"classes": words, "scores": tf.cast(tf.strings.length(words), tf.float32)}, CLASSIFY)


CONFIG = """
model_config_list {{
  config {{ name: "default" base_path: "{base}/half_plus_two" model_platform: "tensorflow" }}
  config {{ name: "tf2" base_path: "{base}/half_plus_two_tf2" model_platform: "tensorflow" }}
  config {{ name: "echo" base_path: "{base}/echo" model_platform: "tensorflow" }}
  config {{ name: "a name/odd" base_path: "{base}/half_plus_two" model_platform: "tensorflow" }}
  config {{
    name: "two_versions" base_path: "{base}/two_versions" model_platform: "tensorflow" model_version_policy {{ all {{}} }}
    version_labels {{ key: "stable" value: 123 }}
    version_labels {{ key: "also stable" value: 123 }}
    version_labels {{ key: "canary" value: 124 }}
  }}
}}
"""


def write(base: Path) -> None:
    """All models under `base`, and the two config files."""
    half_plus(base / "half_plus_two" / "00000123", 2.0)
    half_plus_two_tf2(base / "half_plus_two_tf2" / "123")
    half_plus(base / "two_versions" / "123", 2.0)
    half_plus(base / "two_versions" / "124", 3.0)
    echo(base / "echo" / "1")
    (base / "models.config").write_text(CONFIG.format(base=base.resolve()))
    (base / "monitoring.config").write_text("prometheus_config { enable: true }\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
