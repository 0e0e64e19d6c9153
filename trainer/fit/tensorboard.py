"""Write TensorBoard's event files without TensorBoard: TensorFlow's `tf.summary.scalar` needs it to be installed."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

_SCALARS = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
    data_class=1,  # DATA_CLASS_SCALAR of tensorflow/core/framework/summary.proto
)


class TensorBoardWriter:
    """Write curves as event files into a folder; without one, write nothing."""

    def __init__(self, folder: str | None) -> None:
        self._writer = tf.summary.create_file_writer(folder) if folder else tf.summary.create_noop_writer()

    def add_steps(self, row: Mapping[str, Any]) -> None:
        """Add training metrics: a row of `ProgressLog`."""
        self._write("steps", row, ("loss", "auc", "learning_rate", "requests_per_s"))

    def add_epoch(self, row: Mapping[str, Any]) -> None:
        """Add eval metrics: a row of the training curve."""
        self._write("epochs", row, ("loss", "eval_auc", "eval_ndcg", "learning_rate", "requests_per_s"))

    def _write(self, group: str, row: Mapping[str, Any], names: tuple[str, ...]) -> None:
        with self._writer.as_default(step=row["step"]):
            for name in names:
                tf.summary.write(f"{group}/{name}", tf.constant(row[name], tf.float32), metadata=_SCALARS)

    def close(self) -> None:
        """Flush and close the file."""
        self._writer.close()
