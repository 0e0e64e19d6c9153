"""Map an error to the exit code of the process."""

from components.contract.errors import (
    ClusterFileError,
    DataFrozen,
    DatasetFileError,
    InputError,
    RefusedModel,
    ShelfRankError,
    UnknownOutcome,
)

EXIT_FAILURE, EXIT_BAD_INPUT, EXIT_REFUSED, EXIT_UNKNOWN, EXIT_INTERRUPTED = 1, 2, 3, 4, 130
EXIT_PROMOTED, EXIT_ROLLED_BACK, EXIT_FROZEN = 10, 11, 12
"""Of `guard --once` and `retrain`: how a trial ended; and of `run` and `retrain`: that a person must look."""
EXIT_DIFFERENT, EXIT_NOT_LOGGED, EXIT_RELEASE_GONE, EXIT_NOT_FOUND = 20, 21, 22, 23
"""Of `audit`: why a decision's scores weren't confirmed, or that there is no such decision."""


def exit_code(error: ShelfRankError) -> int:
    """Return the exit code for an error."""
    if isinstance(error, RefusedModel):
        return EXIT_REFUSED
    if isinstance(error, DataFrozen):
        return EXIT_FROZEN
    if isinstance(error, UnknownOutcome):
        return EXIT_UNKNOWN
    return EXIT_BAD_INPUT if isinstance(error, ClusterFileError | DatasetFileError | InputError) else EXIT_FAILURE
