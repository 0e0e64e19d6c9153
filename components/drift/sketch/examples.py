"""Summarize the examples of a split."""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import tensorflow as tf
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from components.contract.dataset import Dataset
from components.drift.sketch.example_block import request_block
from components.drift.sketch.window_sketch import RequestBlock, WindowSketch

_BATCH = 4096


def sketch_examples(folder: str, splits: Iterable[str], dataset: Dataset, *, between_us: tuple[int, int] | None = None) -> WindowSketch:
    """Sketch the requests of these splits of an Examples artifact; those of a time from the first to before the last of two."""
    sketch = WindowSketch()
    for split in splits:
        for batch in batches(folder, split):
            block = request_block(batch, dataset)
            sketch.add(block if between_us is None else _between(block, *between_us))
    return sketch


def batches(folder: str, split: str) -> Iterator[pa.RecordBatch]:
    """Yield the decoded requests of a split."""
    decoder = ExamplesToRecordBatchDecoder()
    for path in sorted(tf.io.gfile.glob(f"{folder}/Split-{split}/*")):
        records = tf.data.TFRecordDataset(path, compression_type="GZIP" if path.endswith(".gz") else "")
        for batch in records.batch(_BATCH).as_numpy_iterator():
            yield decoder.DecodeBatch(batch.tolist())


def _between(block: RequestBlock, from_us: int, until_us: int) -> RequestBlock:
    return block.filtered((block.times_us >= from_us) & (block.times_us < until_us))
