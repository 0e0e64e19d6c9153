"""Curves for TensorBoard, written without it: TensorFlow's `tf.summary.scalar` needs the whole of TensorBoard beside it."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

_SCALARS = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
    data_class=1,  # DATA_CLASS_SCALAR of tensorflow/core/framework/summary.proto
)


class Board:
    """Writes TensorBoard's event files into a folder; without one, nothing."""

    def __init__(self, folder: str | None) -> None:
        self._writer = tf.summary.create_file_writer(folder) if folder else tf.summary.create_noop_writer()

    def steps(self, row: Mapping[str, Any]) -> None:
        """What training itself saw: a row of `Progress`."""
        self._write("steps", row, ("loss", "auc", "learning_rate", "requests_per_s"))

    def epoch(self, row: Mapping[str, Any]) -> None:
        """What the eval split says: a row of the training curve."""
        self._write("epochs", row, ("loss", "eval_auc", "eval_ndcg", "learning_rate", "requests_per_s"))

    def _write(self, group: str, row: Mapping[str, Any], names: tuple[str, ...]) -> None:
        with self._writer.as_default(step=row["step"]):
            for name in names:
                tf.summary.write(f"{group}/{name}", tf.constant(row[name], tf.float32), metadata=_SCALARS)

    def close(self) -> None:
        """Write what is still held back."""
        self._writer.close()
