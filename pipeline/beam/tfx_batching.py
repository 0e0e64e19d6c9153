"""Set how TFX divides examples into batches."""

from absl import flags
from tfx_bsl.coders import batch_util


def cut_batches_by_size() -> None:
    """Let TFX divide examples into batches by their bytes, not by how long the last batch took.

    Sums of floats are then the same in every run, on any machine.
    """
    flags.FLAGS([__name__, f"--{batch_util._USE_BYTE_SIZE_BATCHING.name}"])
