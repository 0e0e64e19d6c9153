"""Write a model server's batching settings: TensorFlow Serving's BatchingParameters in protobuf's text format."""

from collections.abc import Mapping, Sequence

FILE = "assets.extra/batching_parameters.txt"
MAX_CANDIDATES = 2_000
MAX_REQUESTS = 64
TIMEOUT_MICROS = 1_000


def batching_parameters(shapes: Mapping[str, Sequence[int | None]], lengths: Sequence[int]) -> str | None:
    """Return the file's text; None where an input's first dimension, the batch's, isn't free.

    A batch holds as many requests as `MAX_CANDIDATES` leaves room for at the longest list, a power of two, and is
    padded to one of the powers below. A server pads lists of other lengths with their first value
    (`pad_variable_length_inputs`), which the signatures never read: `n_candidates` and `n_history` say how many count.

    Args:
        shapes: of the signature's inputs; None is a free dimension.
        lengths: that candidates' lists are padded to, ascending.
    """
    if not shapes or any(not shape or shape[0] is not None for shape in shapes.values()):
        return None
    most = max(1, min(MAX_REQUESTS, MAX_CANDIDATES // lengths[-1]))
    sizes = [2**power for power in range(most.bit_length())]
    return "\n".join(
        [
            f"max_batch_size {{ value: {sizes[-1]} }}",
            f"batch_timeout_micros {{ value: {TIMEOUT_MICROS} }}",
            *(f"allowed_batch_sizes: {size}" for size in sizes),
            "pad_variable_length_inputs: true",
            "",
        ]
    )
