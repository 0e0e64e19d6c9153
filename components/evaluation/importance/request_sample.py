"""Draw a bounded sample of a split's requests, for evaluations that score each request many times."""

import hashlib
import heapq
from collections.abc import Iterable

import pyarrow as pa
import tensorflow as tf
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

MAX_REQUESTS = 1_000
MAX_BYTES = 8 * 2**20
LOOKED_THROUGH = 20_000


def sampled(folder: str, split: str, *, seed: int) -> pa.RecordBatch:
    """Read the requests of `sampled_records`, decoded."""
    return ExamplesToRecordBatchDecoder().DecodeBatch(sampled_records(folder, split, seed=seed))


def sampled_records(folder: str, split: str, *, seed: int) -> list[bytes]:
    """Draw at most `MAX_REQUESTS` requests and `MAX_BYTES` from the first `LOOKED_THROUGH`, over all files in turn.

    Ingestion orders each file by a hash of the shopper, so the first ones are a random sample; from those the requests
    are drawn by hash. The sample and its order don't depend on the order of the files.

    Args:
        folder: the Examples artifact.
        split: its name.
        seed: key of the hash.
    """
    paths = sorted(tf.io.gfile.glob(f"{folder}/Split-{split}/*"))
    files = tf.data.Dataset.from_tensor_slices(tf.constant(paths, tf.string))
    records = files.interleave(
        lambda path: tf.data.TFRecordDataset(path, compression_type="GZIP" if paths and paths[0].endswith(".gz") else ""),
        cycle_length=max(1, min(len(paths), 64)),
        num_parallel_calls=1,
        deterministic=True,
    )
    return drawn(records.take(LOOKED_THROUGH).as_numpy_iterator(), seed=seed)


def drawn(records: Iterable[bytes], *, seed: int) -> list[bytes]:
    """Take the records with the lowest hashes, in their order, up to `MAX_REQUESTS` and `MAX_BYTES`."""
    key = seed.to_bytes(8, "little")
    hashed = ((hashlib.blake2b(record, digest_size=16, key=key).digest(), record) for record in records)
    kept: list[bytes] = []
    room = MAX_BYTES
    for _, record in heapq.nsmallest(MAX_REQUESTS, hashed):
        room -= len(record)
        if room < 0 and kept:
            break
        kept.append(record)
    return kept
