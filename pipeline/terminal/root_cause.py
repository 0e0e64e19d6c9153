"""Find the cause of an error inside what Beam and TFX wrap around it."""

import re
from collections.abc import Iterator

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
    on_purpose = next((each for each in _chain(error) if isinstance(each, ShelfRankError)), None)
    if on_purpose is not None:
        return type(on_purpose).__name__, str(on_purpose)
    if raised := _RAISED.findall(str(error)):  # An error of another process or thread arrives as the text of its traceback.
        kind, text = raised[-1]
        return kind, text
    cause = error
    while (inner := cause.__cause__ or _wrapped(cause)) is not None:
        cause = inner
    return type(cause).__name__, next(iter(str(cause).strip().splitlines()), "")


def _chain(error: BaseException) -> Iterator[BaseException]:
    each: BaseException | None = error
    while each is not None:
        yield each
        each = each.__cause__ or each.__context__


def _wrapped(error: BaseException) -> BaseException | None:
    """Return the error that was being handled where this one repeats its text: else this one is an error of its own, as
    of a folder that can't be made after it wasn't found."""
    handled = error.__context__
    return handled if handled is not None and str(handled) and str(handled) in str(error) else None
