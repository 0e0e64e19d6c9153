"""Make the decoder of a source of a dataset file."""

from components.contract.dataset import Dataset
from serving.exposure.serialization import EventRows
from serving.stream.decode.decoder import LONGEST_BYTES, EventDecoder


def make_decoder(dataset: Dataset, source_index: int, *, longest_bytes: int = LONGEST_BYTES) -> EventDecoder:
    """Return the decoder of messages whose columns have the roles of one of the dataset's event sources.

    Beside them `raw` has the version and the arms that the service writes with impressions.

    Raises:
        InputError: the source's rows can't be messages.
    """
    rows = EventRows(dataset)
    return EventDecoder(dataset, source_index, described_by=(rows.version, rows.arms), longest_bytes=longest_bytes)
