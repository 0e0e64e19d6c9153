"""Make training repeatable: the same seed, files and settings give the same weights, bit for bit."""

import tensorflow as tf
import tf_keras as keras


def make_deterministic(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow, and enable TensorFlow's deterministic operations.

    Acts on the whole process; to be called before the first operation. Layers draw random numbers from generators whose
    state is a variable, so that a checkpoint can hold it: the state of Keras' older generators can't be read.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    keras.backend.experimental.enable_tf_random_generator()


def random_states(model: keras.Model) -> list[tf.Variable]:
    """Return the states of the random generators of a model's layers, in the layers' order."""
    layers = [getattr(layer, "_random_generator", None) for layer in model.submodules]
    generators = [getattr(each, "_generator", None) for each in layers if each is not None]
    return [generator.state for generator in generators if generator is not None]
