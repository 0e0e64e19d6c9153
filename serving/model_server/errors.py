"""Define the errors of a request: a canonical status code and a message, the same over gRPC and REST."""

from enum import IntEnum

import tensorflow as tf

from components.contract.errors import ShelfRankError


class Code(IntEnum):
    """Canonical status codes, by the numbers that gRPC and TensorFlow share."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class ServingError(ShelfRankError):
    """Error of a request, a load or a start; `str` gives the message alone, `status_text` the code before it."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def status_text(self) -> str:
        """Return code and message, such as `NOT_FOUND: Servable not found for request: Latest(shop)`."""
        return f"{self.code.name}: {self}"


def invalid(message: str) -> ServingError:
    """Return an INVALID_ARGUMENT error: the request is wrong whatever the server's state."""
    return ServingError(Code.INVALID_ARGUMENT, message)


def from_exception(error: Exception) -> ServingError:
    """Convert an exception of the runtime or the file system to the error that a client gets."""
    if isinstance(error, ServingError):
        return error
    if isinstance(error, tf.errors.OpError):
        return ServingError(Code(error.error_code), error.message)
    if isinstance(error, FileNotFoundError):
        return ServingError(Code.NOT_FOUND, str(error))
    return ServingError(Code.INTERNAL, f"{type(error).__name__}: {error}")
