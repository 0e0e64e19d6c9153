"""Map an error to the exit code of the process."""

from components.contract.errors import ClusterFileError, DatasetFileError, InputError, RefusedModel, ShelfRankError, UnknownOutcome

EXIT_FAILURE, EXIT_BAD_INPUT, EXIT_REFUSED, EXIT_UNKNOWN, EXIT_INTERRUPTED = 1, 2, 3, 4, 130


def exit_code(error: ShelfRankError) -> int:
    """Return the exit code for an error."""
    if isinstance(error, RefusedModel):
        return EXIT_REFUSED
    if isinstance(error, UnknownOutcome):
        return EXIT_UNKNOWN
    return EXIT_BAD_INPUT if isinstance(error, ClusterFileError | DatasetFileError | InputError) else EXIT_FAILURE
