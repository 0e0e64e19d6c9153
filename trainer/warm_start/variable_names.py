"""Name the weights of a ranker, by names that stay the same from run to run; releases store these names."""

import tensorflow as tf
import tf_keras as keras

_STORED_NAMES = {"calibration/knots": "calibration/given", "calibration/calibrated": "calibration/told"}
"""Names that releases store, where they aren't the paths of attributes."""


def weights(model: keras.Model) -> dict[str, tf.Variable]:
    """Name each variable by the shortest path of attributes to it: `head/of_crossed/kernel`, `tables/item`.

    The statistics of batch normalisation are among them, metrics aren't. Keras' own names depend on how many layers of
    a kind the process has created before.
    """
    metrics = {id(variable) for metric in model.metrics for variable in metric.variables}
    weight_ids = {id(variable) for variable in model.variables} - metrics
    named: dict[str, tf.Variable] = {}
    view, visited, queue = tf.train.TrackableView(model), {id(model)}, [("", model)]
    while queue:
        path, owner = queue.pop(0)
        for name, child in sorted(view.children(owner).items()):
            if id(child) in visited:
                continue
            visited.add(id(child))
            child_path = f"{path}/{name}" if path else name
            if not isinstance(child, tf.Variable):
                queue.append((child_path, child))
            elif id(child) in weight_ids:
                named[_STORED_NAMES.get(child_path, child_path.removesuffix("/embeddings"))] = child
    return dict(sorted(named.items()))
