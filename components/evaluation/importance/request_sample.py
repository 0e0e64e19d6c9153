"""A bounded sample of a split's requests: what takes many looks at each is looked at on these."""

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
    """The requests of `sampled_records`, decoded."""
    return ExamplesToRecordBatchDecoder().DecodeBatch(sampled_records(folder, split, seed=seed))


def sampled_records(folder: str, split: str, *, seed: int) -> list[bytes]:
    """At most `MAX_REQUESTS` requests, and `MAX_BYTES` of them, drawn from the first `LOOKED_THROUGH`, the files taken in turn.

    Ingestion orders each file by a hash of the shopper, so the first ones are as good as any; of those the sample is drawn by hash. It is
    the same whatever order the files come in, and so are its requests' places.

    Args:
        folder: the Examples artifact.
        split: its name.
        seed: draws another sample.
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
    """Those whose bytes have the lowest hashes, by hash, as far as requests and bytes allow."""
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
