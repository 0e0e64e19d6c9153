"""Append to files of JSON Lines so that a kill can't damage them: a line is there, on the disk, or it isn't."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.contract.errors import ShelfRankError
from components.contract.storage.atomic_files import sync


def append_json_line(file: Path, values: Mapping[str, Any]) -> None:
    """Append a line, and return when it is on the disk; what a kill left of a line before it is removed first.

    The caller keeps other writers away.

    Raises:
        OSError: the disk doesn't take it.
    """
    with file.open("a+b") as opened:
        opened.seek(0)
        content = opened.read()
        if (whole := content.rfind(b"\n") + 1) < len(content):
            opened.truncate(whole)
        opened.write(json.dumps(values, ensure_ascii=False, allow_nan=False).encode() + b"\n")
        opened.flush()
        os.fsync(opened.fileno())
    if not content:
        sync(file.parent)


def read_json_lines(file: Path) -> list[dict[str, Any]]:
    """Return the lines that are complete; none where there is no file.

    Raises:
        ShelfRankError: a line isn't a JSON object.
    """
    rows: list[dict[str, Any]] = []
    text = file.read_bytes() if file.exists() else b""
    for number, line in enumerate(text[: text.rfind(b"\n") + 1].splitlines(), 1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise ShelfRankError(f"{file}:{number}: expected a JSON object, got {line[:60]!r}; correct the line, or delete it")
        rows.append(row)
    return rows
