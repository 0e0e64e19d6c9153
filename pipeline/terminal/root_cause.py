"""Find the cause of an error inside what Beam and TFX wrap around it."""

import re

from components.contract.errors import DatasetFileError, InputError, RefusedModel, RunError, ShelfRankError
from pipeline.beam.remedies import remedy_of

# Errors that a working step raises on purpose, about its input or its result.
_RESULTS_OF_A_STEP: tuple[type[ShelfRankError], ...] = (DatasetFileError, InputError, RefusedModel)

# The class with its module, or by a name that only an error's class has.
_RAISED = re.compile(
    r"(?ms)^(?:[a-z_][\w.]*\.(?=[A-Z]\w*: )|(?=[A-Z]\w*(?:Error|Exception|Warning): ))([A-Z]\w*): (.+?)(?=\nTraceback|\n\n|\Z)"
)
_BEAM_STEP = re.compile(r" \[while running '[^']*'\]")  # appended by Beam


def root_cause(error: BaseException, *, step: str, log: str) -> ShelfRankError:
    """Return the error to show the user: the cause's own class if a step raised it on purpose, else a `RunError`."""
    kind, text = _kind_and_text(error)
    text = _BEAM_STEP.sub("", text).strip()
    by_name = {each.__name__: each for known in _RESULTS_OF_A_STEP for each in (known, *known.__subclasses__())}
    if kind in by_name:
        return by_name[kind](f"{step}: {text}")
    sentences = (f"{step} failed: {kind}: {text}", remedy_of(str(error)), f"The whole story is in {log}")
    return RunError("\n".join(filter(None, sentences)))


def _kind_and_text(error: BaseException) -> tuple[str, str]:
    cause = error
    while not isinstance(cause, ShelfRankError) and (inner_cause := cause.__cause__ or cause.__context__) is not None:
        cause = inner_cause
    if isinstance(cause, ShelfRankError):
        return type(cause).__name__, str(cause)
    if raised := _RAISED.findall(str(error)):  # An error of another process or thread arrives as the text of its traceback.
        kind, text = raised[-1]
        return kind, text
    return type(cause).__name__, next(iter(str(cause).strip().splitlines()), "")
