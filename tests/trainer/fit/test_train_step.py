"""Check a step's change of the weights, by hand on a model of one kernel."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from trainer.config import RankerConfig
from trainer.data.input_pipeline import Batch
from trainer.fit.learning_rate import learning_rate
from trainer.fit.train_step import TrainStep, decayed


class Sum(keras.Model):
    """Return as loss the sum of the weights times a slope, so that each gradient is the slope."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.kernel = self.add_weight("kernel", [2, 1], initializer="ones")
        self.bias = self.add_weight("bias", [1], initializer="ones")
        self.rows = self.add_weight("embeddings", [1, 1], initializer="ones")
        self.slope = slope

    def compute_loss(self, batch: Batch, training: bool = False) -> tf.Tensor:
        return self.slope * tf.add_n([tf.reduce_sum(weight) for weight in self.trainable_variables])


def stepped(steps: int = 1, slope: float = 1.0, **settings: object) -> tuple[Sum, TrainStep]:
    config = RankerConfig(learning_rate=0.1, averaging=0, **settings)
    model = Sum(slope)
    step = TrainStep(model, config=config, rate=learning_rate(config, 100))
    batch = (tf.zeros([1]), tf.RaggedTensor.from_row_lengths([1.0], [1]))
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat(steps))
    for _ in range(steps):
        step(batches)
    return model, step


def test_a_step_of_adam_is_the_learning_rate_down_the_slope():
    model, _ = stepped()
    for weight in model.trainable_variables:
        assert weight.numpy() == pytest.approx(0.9, abs=1e-4)


def test_weight_decay_takes_its_share_of_the_kernel_before_the_step_and_of_nothing_else():
    model, _ = stepped(weight_decay=0.5)
    assert model.kernel.numpy() == pytest.approx(1 * (1 - 0.1 * 0.5) - 0.1, abs=1e-4)
    assert [model.bias.numpy()[0], model.rows.numpy()[0, 0]] == pytest.approx([0.9, 0.9], abs=1e-4)


def test_weight_decay_follows_the_schedule():
    model, _ = stepped(weight_decay=0.5, warmup_steps=1)  # the first rate is 0.05
    assert model.kernel.numpy() == pytest.approx(1 - 0.05 * 0.5 - 0.05, abs=1e-4)


def test_a_network_s_kernels_decay_and_its_tables_biases_and_normalisation_don_t(every_kind):
    from trainer.config import ranker_config
    from trainer.data.input_pipeline import Epochs, TrainingExamples
    from trainer.fit.build import build_ranker
    from trainer.fit.determinism import make_deterministic

    make_deterministic(1)
    config = ranker_config(every_kind.dataset)
    sample = Epochs(TrainingExamples([every_kind.train]), every_kind.tft, dataset=every_kind.dataset, requests=1, seed=1).sample
    model = build_ranker(every_kind.tft, every_kind.dataset, config, sample=sample, precision="float32")
    shrinking = {weight.name for weight in decayed(model.trainable_variables)}
    staying = {weight.name for weight in model.trainable_variables} - shrinking
    assert {name.rsplit("/")[-1].split(":")[0] for name in shrinking} == {"kernel", "of_product", "of_deep"}
    assert {name.rsplit("/")[-1].split(":")[0] for name in staying} == {"embeddings", "bias", "gamma", "beta"}


def gradient_seen(step: TrainStep) -> np.ndarray:
    """Adam's first moment after one step is a tenth of the gradient."""
    return np.array([10 * step.optimizer.get_slot(weight, "m").numpy().ravel()[0] for weight in step.model.trainable_variables])


def test_all_gradients_together_are_cut_to_the_greatest_norm():
    # Four numbers with a slope of 3 each: a norm of 6.
    assert gradient_seen(stepped(slope=3.0, clip_norm=2.0)[1]) == pytest.approx([1.0] * 3)
    assert gradient_seen(stepped(slope=3.0, clip_norm=7.0)[1]) == pytest.approx([3.0] * 3)
    assert gradient_seen(stepped(slope=3.0)[1]) == pytest.approx([3.0] * 3)


def test_in_float16_the_loss_scale_cancels_out_and_an_overflow_changes_no_weight_but_halves_it():
    model, step = stepped(precision="mixed_float16")
    assert model.bias.numpy() == pytest.approx(0.9, abs=1e-4)
    model, step = stepped(slope=float("inf"), precision="mixed_float16")
    assert model.bias.numpy() == 1.0
    assert step.optimizer.loss_scale.numpy() == 2**14


def test_the_step_counter_the_moments_and_the_loss_scale_are_all_there_for_a_checkpoint():
    _, plain = stepped(2)
    variables = plain.state()["optimizer"]
    assert len(variables) == 1 + 2 * 3
    assert variables[0].numpy() == 2
    _, scaled = stepped(2, precision="mixed_float16")
    variables = scaled.state()["optimizer"]
    assert sorted(float(each.numpy()) for each in variables if each.shape.rank == 0)[-3:] == [2, 2, 2**15]
    assert len({id(each) for each in variables}) == len(variables) == 3 + 2 * 3


def test_at_the_end_of_the_batches_nothing_changes():
    _, step = stepped(2)
    before = [variable.numpy() for group in step.state().values() for variable in group]
    with pytest.raises((StopIteration, tf.errors.OutOfRangeError)):
        step(iter(tf.data.Dataset.from_tensors((tf.zeros([1]), tf.RaggedTensor.from_row_lengths([1.0], [1]))).take(0)))
    after = [variable.numpy() for group in step.state().values() for variable in group]
    assert all((one == two).all() for one, two in zip(before, after, strict=True))
