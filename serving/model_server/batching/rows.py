"""Concatenate requests on their first dimension, and split the outputs again: pure functions on arrays."""

from collections.abc import Mapping, Sequence

import numpy as np

from serving.model_server.errors import Code, ServingError, invalid
from serving.model_server.inference.tensors import Array

MAX_RANK = 6
Feeds = Mapping[str, Array]


def size_of(feeds: Feeds) -> int:
    """Return a request's number of rows. Raises INVALID_ARGUMENT where its inputs differ in it, or one is a scalar."""
    if not feeds:
        raise invalid("If size is not specified, Batching Run() must have at least one input tensor")
    if any(not array.ndim for array in feeds.values()):
        raise invalid("Batching Run() input tensors must have at least one dimension")
    sizes = {len(array) for array in feeds.values()}
    if len(sizes) > 1:
        raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
    return sizes.pop()


def concatenate(requests: Sequence[Feeds], *, run_at: int, pad_lengths: bool) -> dict[str, Array]:
    """Concatenate the requests' rows, padded to `run_at` rows with the first row of the last request.

    With `pad_lengths` the other dimensions are padded to the longest with the tensor's first element, else they must
    agree: raises FAILED_PRECONDITION where they don't.
    """
    merged = {}
    for name in requests[0]:
        parts = [request[name] for request in requests]
        if pad_lengths:
            parts = pad_to_longest(parts)
        elif len({part.shape[1:] for part in parts}) > 1:
            raise ServingError(
                Code.FAILED_PRECONDITION,
                f"Tensors with name '{name}' from different tasks have different shapes and padding is turned off. Set "
                "pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal dimensions "
                "starting with the first dim.",
            )
        missing = run_at - sum(map(len, parts))
        merged[name] = np.concatenate([*parts, *[parts[-1][:1]] * missing]) if len(parts) + missing > 1 else parts[0]
    return merged


def pad_to_longest(parts: Sequence[Array]) -> list[Array]:
    """Pad all dimensions but the first to the longest, each part with its first element."""
    if parts[0].ndim > MAX_RANK:
        raise invalid(f"Only tensors with rank from 1 to {MAX_RANK} can be padded.")
    if len({part.ndim for part in parts}) > 1:
        raise invalid("Tensors of different rank can't be padded to one shape")
    longest = np.max([part.shape[1:] for part in parts], axis=0) if parts[0].ndim > 1 else ()
    evened = []
    for part in parts:
        shape = (len(part), *(int(size) for size in longest))
        if shape == part.shape:
            evened.append(part)
            continue
        if not part.size:
            raise invalid("Got empty tensor in batch of non-empty tensors.")
        wide = np.full(shape, part.flat[0], part.dtype)
        wide[tuple(slice(size) for size in part.shape)] = part
        evened.append(wide)
    return evened


def split_outputs(outputs: Sequence[Array], sizes: Sequence[int], *, run_at: int) -> list[list[Array]]:
    """Return each request's rows of each output, without the rows of padding.

    Raises FAILED_PRECONDITION where an output hasn't as many rows as the inputs had.
    """
    for array in outputs:
        if not array.ndim:
            raise ServingError(Code.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
        if len(array) != run_at:
            raise ServingError(
                Code.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input tensors",
            )
    ends = np.cumsum(sizes)
    return [[array[end - size : end] for array in outputs] for size, end in zip(sizes, ends.tolist(), strict=True)]
