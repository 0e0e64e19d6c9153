"""Read values, items and shoppers from a block of examples, as flat arrays."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.contract.errors import InputError
from components.evaluation.metrics.id_hashes import hashed


def candidate_values(block: pa.RecordBatch, name: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the values [N] of a candidate column, and their number by request [R], 0 without the feature.

    Raises:
        InputError: if the examples have no such feature.
    """
    if name not in block.schema.names:
        names = ", ".join(sorted(block.schema.names))
        raise InputError(f"expected a feature {name!r} in the examples, found {names}; evaluate the examples as ingested")
    column = block.column(name)
    if pa.types.is_null(column.type):
        return np.empty(0, np.float32), np.zeros(len(column), np.int64)
    lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return column.flatten().to_numpy(zero_copy_only=False).astype(np.float32), lengths.astype(np.int64)


def candidate_ids(block: pa.RecordBatch, name: str) -> NDArray[np.uint64] | None:
    """Hash a candidate column's ids [N]; None if the examples have no such feature."""
    return hashed(block.column(name).flatten()) if name in block.schema.names else None


def shoppers(block: pa.RecordBatch) -> NDArray[np.uint64] | None:
    """Hash each request's shopper [R]; without a `user` it is one of its own, identified by `request` and `time`."""
    if not {"user", "request"} <= set(block.schema.names):
        return None
    user, request = (_first(block.column(name)) for name in ("user", "request"))
    if "time" in block.schema.names:  # requests may share an id
        time = pa.array([str(value[0] if value else 0).encode() for value in block.column("time").to_pylist()], pa.binary())
        request = pc.binary_join_element_wise(request, time, b"@")
    return hashed(pc.if_else(pc.equal(user, b""), request, user))


def _first(column: pa.ListArray) -> pa.Array:
    """Return the one value of each request, b"" where it has none."""
    return pa.array([value[0] if value else b"" for value in column.to_pylist()], pa.binary())
