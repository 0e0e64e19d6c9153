"""Summarize the examples of a split."""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import tensorflow as tf
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from components.contract.dataset import Dataset
from components.drift.sketch.example_block import request_block
from components.drift.sketch.window_sketch import WindowSketch

_BATCH = 4096


def sketch_examples(folder: str, splits: Iterable[str], dataset: Dataset) -> WindowSketch:
    """Sketch the requests of these splits of an Examples artifact."""
    sketch = WindowSketch()
    for split in splits:
        for batch in batches(folder, split):
            sketch.add(request_block(batch, dataset))
    return sketch


def batches(folder: str, split: str) -> Iterator[pa.RecordBatch]:
    """Yield the decoded requests of a split."""
    decoder = ExamplesToRecordBatchDecoder()
    for path in sorted(tf.io.gfile.glob(f"{folder}/Split-{split}/*")):
        records = tf.data.TFRecordDataset(path, compression_type="GZIP" if path.endswith(".gz") else "")
        for batch in records.batch(_BATCH).as_numpy_iterator():
            yield decoder.DecodeBatch(batch.tolist())
