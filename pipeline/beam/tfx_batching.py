"""How TFX cuts examples into batches."""

from absl import flags
from tfx_bsl.coders import batch_util


def cut_batches_by_size() -> None:
    """Let TFX cut examples into batches by their bytes, not by how long the last batch took.

    Sums of floats then come out alike in every run, on whatever machine.
    """
    flags.FLAGS([__name__, f"--{batch_util._USE_BYTE_SIZE_BATCHING.name}"])
