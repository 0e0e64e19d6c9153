"""The weights of a ranker, by names that stay the same from run to run."""

import tensorflow as tf
import tf_keras as keras


def weights(model: keras.Model) -> dict[str, tf.Variable]:
    """Variables by the shortest path of attributes that leads to them: `head/of_crossed/kernel`; of a table the path to it: `tables/item`.

    Moving averages are among them, metrics aren't. Keras' own names won't do: they count the layers of a kind that the process has made.
    """
    counted = {id(variable) for metric in model.metrics for variable in metric.variables}
    wanted = {id(variable) for variable in model.variables} - counted
    found: dict[str, tf.Variable] = {}
    view, met, reached = tf.train.TrackableView(model), {id(model)}, [("", model)]
    while reached:
        path, owner = reached.pop(0)
        for name, child in sorted(view.children(owner).items()):
            if id(child) in met:
                continue
            met.add(id(child))
            here = f"{path}/{name}" if path else name
            if not isinstance(child, tf.Variable):
                reached.append((here, child))
            elif id(child) in wanted:
                found[here.removesuffix("/embeddings")] = child
    return dict(sorted(found.items()))
