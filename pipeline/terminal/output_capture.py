"""Redirect the output of TensorFlow, Beam and TFX from the terminal to a file."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def captured_output(log: Path) -> Iterator[TextIO]:
    """Send all output of the process, C++ libraries' included, to a file; yields a stream to the former standard error.

    Python's log records of level INFO and above go to the same file.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("a", encoding="utf-8", buffering=1) as target,
        os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="replace", buffering=1) as terminal,
        _redirected((1, 2), target.fileno()),
        _logging_to(target),
    ):
        yield terminal


@contextmanager
def _redirected(handles: tuple[int, ...], target: int) -> Iterator[None]:
    """Redirect these file descriptors to `target` while the block runs."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [(handle, os.dup(handle)) for handle in handles]
    for handle in handles:
        os.dup2(target, handle)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for handle, original in kept:
            os.dup2(original, handle)
            os.close(original)


@contextmanager
def _logging_to(target: TextIO) -> Iterator[None]:
    root = logging.getLogger()
    level, handler = root.level, logging.StreamHandler(target)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
