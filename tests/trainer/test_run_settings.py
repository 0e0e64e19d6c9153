"""Check training settings of `model:`, each through `run_fn` to the exported model, and the folder of checkpoints."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from trainer.config import ranker_config
from trainer.data.input_pipeline import Epochs, TrainingExamples
from trainer.fit.auc import auc
from trainer.fit.build import build_ranker
from trainer.fit.determinism import make_deterministic
from trainer.run import checkpoint_folder, run_fn


def fn_args(shop, path, settings="{}", **custom):
    return SimpleNamespace(
        train_files=[shop.train],
        eval_files=[shop.eval],
        transform_output=shop.graph,
        serving_model_dir=str(path / "model" / "7"),
        model_run_dir=str(path / "model_run" / "7"),
        custom_config={"dataset": shop.text[: shop.text.index("model:")] + f"model: {settings}\n", **custom},
    )


def trained(shop, path, settings):
    """Train; return the scores of the last requests and their labels, flat, and the curve."""
    args = fn_args(shop, path, settings)
    run_fn(args)
    loaded = tf.saved_model.load(args.serving_model_dir)
    rows = shop.rows[-64:]
    scores = loaded.signatures["examples"](tf.constant([shop.serialize(row) for row in rows]))["scores"].numpy()
    flat = np.concatenate([each[: len(row["label"])] for each, row in zip(scores, rows, strict=True)])
    curve = json.loads((path / "model" / "7" / "assets.extra" / "history.json").read_text())
    return SimpleNamespace(scores=flat, labels=np.concatenate([row["label"] for row in rows]), curve=curve, loaded=loaded)


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "attention"), [("mixed_bfloat16", "unit"), ("mixed_float16", "dot")])
def test_mixed_precision_learns_and_is_exported_in_float32(every_kind, tmp_path, precision, attention):
    settings = f"{{batch_requests: 16, epochs: 6, precision: {precision}, attention: {attention}}}"
    result = trained(every_kind, tmp_path, settings)
    assert auc(result.labels, result.scores) > 0.9
    assert result.scores.dtype == np.float32
    assert {weight.dtype for weight in result.loaded.weights if weight.dtype.is_floating} == {tf.float32}
    # Numbers that bfloat16 or float16 couldn't hold: the graph computes in float32.
    halves = [result.scores.astype(np.float16).astype(np.float32), tf.cast(tf.cast(result.scores, tf.bfloat16), tf.float32).numpy()]
    assert all((result.scores != half).mean() > 0.5 for half in halves)
    assert auc(result.labels, result.scores) == pytest.approx(max(row["eval_auc"] for row in result.curve), abs=1e-3)
    assert keras.mixed_precision.global_policy().name == "float32"


def test_layers_compute_in_half_and_weights_and_logits_are_float32(every_kind):
    make_deterministic(1)
    sample = Epochs(TrainingExamples([every_kind.train]), every_kind.tft, dataset=every_kind.dataset, requests=1, seed=1).sample
    config = ranker_config(every_kind.dataset)
    model = build_ranker(every_kind.tft, every_kind.dataset, config, sample=sample, precision="mixed_bfloat16")
    halves = (model.head.dense[0][0], model.head.cross[0], model.event, model.request_side, *model.tables.values())
    assert {layer.compute_dtype for layer in halves} == {"bfloat16"}
    assert {weight.dtype for weight in model.trainable_variables} == {tf.float32}
    assert model.logits(sample[0]).dtype == model.compute_loss(sample).dtype == tf.float32


@pytest.mark.slow
def test_a_weight_of_positives_promises_more_of_them(no_shopper, tmp_path):
    plain, weighted = (
        trained(no_shopper, tmp_path / name, f"{{batch_requests: 16, epochs: 2, calibration: none, positive_weight: {name}}}")
        for name in ("1", "20")
    )
    assert weighted.scores.mean() > 1.3 * plain.scores.mean()


def test_the_epoch_with_the_best_ndcg_is_kept_when_that_decides(no_shopper, tmp_path):
    result = trained(no_shopper, tmp_path, "{batch_requests: 16, epochs: 3, patience: 3, judged_by: ndcg, averaging: 0.5}")
    best = max(result.curve, key=lambda row: row["eval_ndcg"])
    assert auc(result.labels, result.scores) == pytest.approx(best["eval_auc"], abs=1e-4)


def test_tensorboard_finds_its_curves(no_shopper, tmp_path):
    result = trained(no_shopper, tmp_path, "{batch_requests: 16, epochs: 2, log_steps: 5, schedule: linear}")
    values: dict[str, dict[int, float]] = {}
    for path in (tmp_path / "model_run" / "7").glob("events.out.tfevents.*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                values.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
    for name in ("loss", "eval_auc", "eval_ndcg", "learning_rate", "requests_per_s"):
        assert values[f"epochs/{name}"] == pytest.approx({row["step"]: row[name] for row in result.curve})
    for name in ("loss", "auc", "learning_rate", "requests_per_s"):
        assert list(values[f"steps/{name}"]) == [5, 10, 15, 20]
    rates = [2e-3 * (1 - step / 24) for step in (5, 10, 15, 20)]
    assert list(values["steps/learning_rate"].values()) == pytest.approx(rates, rel=1e-5)


def test_each_attempt_of_a_training_has_one_folder_of_checkpoints_and_any_other_training_another(no_shopper, tmp_path):
    first, again = fn_args(no_shopper, tmp_path, code="a"), fn_args(no_shopper, tmp_path, code="a")
    again.model_run_dir = str(tmp_path / "model_run" / "8")
    folder = checkpoint_folder(first)
    assert folder == checkpoint_folder(again)
    assert os.path.dirname(folder) == str(tmp_path / "checkpoints")
    others = [fn_args(no_shopper, tmp_path, code="b"), fn_args(no_shopper, tmp_path, "{epochs: 3}", code="a")]
    copied = tmp_path / "part-0"
    copied.write_bytes(b"other data")
    others.append(SimpleNamespace(**vars(first) | {"train_files": [str(copied)]}))
    before = checkpoint_folder(others[-1])
    copied.write_bytes(b"newer data, of another size")
    assert len({folder, before, *(checkpoint_folder(other) for other in others)}) == 5


def test_where_files_are_copied_for_each_attempt_their_content_tells_which_training_it_is(no_shopper, tmp_path):
    copied = tmp_path / "part-0"
    copied.write_bytes(b"examples")
    args = fn_args(no_shopper, tmp_path, code="a", checkpoints=str(tmp_path / "kept"))
    args.train_files = [str(copied)]
    folder = checkpoint_folder(args)
    assert os.path.dirname(folder) == str(tmp_path / "kept")
    copied.write_bytes(b"examples")
    os.utime(copied, (1, 1))
    assert checkpoint_folder(args) == folder
    assert checkpoint_folder(SimpleNamespace(**vars(args) | {"train_steps": 7})) != folder
    copied.write_bytes(b"Examples")
    os.utime(copied, (1, 1))
    assert checkpoint_folder(args) != folder


def test_a_number_of_steps_ends_training_and_the_learning_rate_falls_to_its_end(no_shopper, tmp_path):
    args = fn_args(no_shopper, tmp_path, "{batch_requests: 16, epochs: 3, schedule: linear, max_steps: 30}")  # 12 steps an epoch
    args.train_steps = 15
    run_fn(args)
    curve = json.loads((tmp_path / "model" / "7" / "assets.extra" / "history.json").read_text())
    assert [row["step"] for row in curve] == [12, 15]
    assert curve[-1]["learning_rate"] == pytest.approx(0.0, abs=1e-9)
