"""Make the decoder of a source of a dataset file."""

from components.contract.dataset import Dataset
from serving.stream.decode.decoder import LONGEST_BYTES, EventDecoder


def make_decoder(dataset: Dataset, source_index: int, *, longest_bytes: int = LONGEST_BYTES) -> EventDecoder:
    """Return the decoder of messages whose columns have the roles of one of the dataset's event sources.

    Raises:
        InputError: the source's rows can't be messages.
    """
    return EventDecoder(dataset, source_index, longest_bytes=longest_bytes)
