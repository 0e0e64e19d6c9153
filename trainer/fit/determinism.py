"""The one place that makes training repeatable: the same seed, files and settings give the same weights, bit for bit."""

import tensorflow as tf
import tf_keras as keras


def deterministic(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow, and let TensorFlow run only operations that give the same bits each time.

    Acts on the whole process; before the first operation. Layers that draw random numbers take them from generators whose state is a
    variable, so that it can be written into a checkpoint: Keras' older generators count where nobody can read it.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    keras.backend.experimental.enable_tf_random_generator()


def generators(model: keras.Model) -> list[tf.Variable]:
    """The states of the random generators of a model's layers, in the layers' order."""
    found = [getattr(layer, "_random_generator", None) for layer in model.submodules]
    made = [getattr(each, "_generator", None) for each in found if each is not None]
    return [generator.state for generator in made if generator is not None]
