"""The errors that several parts raise on purpose. Each message says what was expected, what came, and what to do.

ShelfRankError
├── DatasetFileError    the dataset file can't be read as one
├── ServiceFileError    a file of the ranking service (experiments, rules) can't be read as one
├── ClusterFileError    the file about a cluster can't be read as one
├── InputError          the shop's data isn't what the dataset file says
│   └── DataFrozen      the data isn't like what the model in force was made from: nothing is trained on it
├── ModelUnavailable    the model server gave no answer that could be used
├── StateUnavailable    the state store gave no answer in time
├── LogUnavailable      the exposure log couldn't take an event; it isn't acknowledged
├── SourceUnavailable   the source of a stream gave no answer
├── KubeflowError       the API of Kubeflow Pipelines refused, or gave no answer that could be used
├── RefusedModel        training went well, and the gates or the rehearsal refused the model
├── UnknownOutcome      a run went well, and whether it released its model can't be known from here
└── RunError            a step of the graph failed

The simulator's, the model server's and ingestion's own derive from them where they are raised.
"""


class ShelfRankError(Exception):
    """Base of all errors that ShelfRank raises on purpose; the text is for the user."""


class DatasetFileError(ShelfRankError):
    """The dataset file has an unknown key, a wrong value, or contradicts itself."""


class ServiceFileError(ShelfRankError):
    """A file of the ranking service has an unknown key, a wrong value, or contradicts itself or the dataset file."""


class ClusterFileError(ShelfRankError):
    """The file that describes a cluster has an unknown key, a wrong value, or contradicts itself."""


class InputError(ShelfRankError):
    """A source lacks a file or a column, or can't be read as its declared type."""


class DataFrozen(InputError):  # noqa: N818 - a decision, which a person lifts
    """The data isn't like what the model in force was made from, in a way that points to a fault: nothing is trained on it."""


class ModelUnavailable(ShelfRankError):  # noqa: N818 - a state of the model server, which passes
    """The model server gave no answer that could be used; `reason` is one word of it, for metrics and logs."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StateUnavailable(ShelfRankError):  # noqa: N818 - a state of the store, which passes
    """The state store gave no answer in time; the sender of an event should try again."""


class LogUnavailable(ShelfRankError):  # noqa: N818 - a state of the log, which passes
    """The exposure log couldn't write an event: it isn't logged, and its sender should try again."""


class SourceUnavailable(ShelfRankError):  # noqa: N818 - a state of the source, which passes
    """The source of a stream, or the registry of its schemas, gave no answer; the same call may be tried again."""


class KubeflowError(ShelfRankError):
    """The API of Kubeflow Pipelines refused, or gave no answer that could be used; `status` is HTTP's or 0."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class RefusedModel(ShelfRankError):  # noqa: N818 - not an error: the gates did their work
    """A gate or the rehearsal refused the model: nothing was released."""


class UnknownOutcome(ShelfRankError):  # noqa: N818 - not an error of the run
    """A run on a cluster succeeded, but whether its model was released can't be read from here."""


class RunError(ShelfRankError):
    """A step of the graph failed; the text names the step and its log file."""
