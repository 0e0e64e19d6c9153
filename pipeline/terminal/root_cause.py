"""The one line of an error that tells what happened, out of what Beam and TFX wrap around it."""

import re

from components.contract.errors import DatasetFileError, InputError, RefusedModel, RunError, ShelfRankError

# The step did its work, and this is what it found.
_FOUND: dict[str, type[ShelfRankError]] = {kind.__name__: kind for kind in (DatasetFileError, InputError, RefusedModel)}

_RAISED = re.compile(r"(?ms)^(?:[a-z_][\w.]*\.)?([A-Z]\w*(?:Error|Exception|Warning)): (.+?)(?=\nTraceback|\n\n|\Z)")
_WHERE = re.compile(r" \[while running '[^']*'\]")  # Beam's own addition


def told(error: BaseException, *, step: str, log: str) -> ShelfRankError:
    """The error for the person at the keyboard: as it was where it is what the step found, else a `RunError` that names the log."""
    kind, text = _kind_and_text(error)
    text = _WHERE.sub("", text).strip()
    if kind in _FOUND:
        return _FOUND[kind](f"{step}: {text}")
    return RunError(f"{step} failed: {kind}: {text}\nThe whole story is in {log}")


def _kind_and_text(error: BaseException) -> tuple[str, str]:
    inner = error
    while not isinstance(inner, ShelfRankError) and (deeper := inner.__cause__ or inner.__context__) is not None:
        inner = deeper
    if isinstance(inner, ShelfRankError):
        return type(inner).__name__, str(inner)
    if raised := _RAISED.findall(str(error)):  # An error of another process or thread comes as the text of its traceback.
        kind, text = raised[-1]
        return kind, text
    return type(inner).__name__, next(iter(str(inner).strip().splitlines()), "")
