"""Save a window's sketch as one small file, and load it again to compare it or to add further windows to it.

The file is NumPy's `.npz` with an array `header` of JSON. Most cells of a sketch are 0, so only the others are kept, by
their index. Columns, values and days stand in sorted order: equal sketches are equal bytes.
"""

import json
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.contract.errors import ShelfRankError
from components.drift.sketch.category_sketch import CategorySketch
from components.drift.sketch.number_sketch import BINS, GROUPS, NumberSketch
from components.drift.sketch.window_sketch import WindowSketch

VERSION = 1
FILE = "assets.extra/drift/reference.npz"
"""Where a release has the sketch of the window that it was made from, beneath its SavedModel's folder."""

_HEADER = "header"

Arrays = dict[str, NDArray[Any]]


def write_sketch(sketch: WindowSketch, file: Path) -> None:
    """Write a sketch; folders are made as needed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    arrays: Arrays = {"requests": sketch.requests, "hours": np.array(sorted(sketch.hours.items()), np.int64).reshape(-1, 2)}
    columns = []
    for number, (name, column) in enumerate(sorted(sketch.columns.items())):
        described, added = _number(column) if isinstance(column, NumberSketch) else _category(column)
        columns.append({"name": name, **described})
        arrays |= {f"{number}.{key}": values for key, values in added.items()}
    header = json.dumps({"version": VERSION, "groups": GROUPS, "bins": BINS, "columns": columns}, ensure_ascii=False)
    arrays[_HEADER] = np.frombuffer(header.encode(), np.uint8)
    with file.open("wb") as out:
        np.savez_compressed(out, **arrays)  # type: ignore[arg-type]  # NumPy's stub takes the arrays for its own option


def read_sketch(file: Path) -> WindowSketch:
    """Read a sketch that `write_sketch` wrote.

    Raises:
        ShelfRankError: the file is none, is damaged, or was written by another version.
    """
    try:
        with file.open("rb") as opened, np.load(opened) as arrays:
            header = json.loads(bytes(arrays[_HEADER]))
            if header["version"] != VERSION or header["groups"] != GROUPS or header["bins"] != BINS:
                raise ShelfRankError(
                    f"{file}: expected a sketch of version {VERSION} with {GROUPS} groups and {BINS} bins, got version {header['version']} "
                    f"with {header['groups']} and {header['bins']}; make the release again, or use the ShelfRank that made it"
                )
            columns = {
                described["name"]: _column(described, _prefixed(arrays, number)) for number, described in enumerate(header["columns"])
            }
            return WindowSketch(columns, arrays["requests"], Counter(dict(arrays["hours"].tolist())))
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ShelfRankError(f"{file}: expected the sketch of a window: {error!r}; make the release again") from None


def _number(sketch: NumberSketch) -> tuple[dict[str, Any], Arrays]:
    days = sorted(sketch.by_day)
    by_day = np.stack([sketch.by_day[day] for day in days]) if days else np.zeros((0, BINS + 1), np.uint32)
    arrays = {"days": np.array(days, np.int64), **_sparse("counts", sketch.counts), **_sparse("by_day", by_day)}
    if sketch.by_items is not None:
        arrays |= _sparse("by_items", sketch.by_items)
    return {"kind": "number", "by_items": sketch.by_items is not None}, arrays


def _category(sketch: CategorySketch) -> tuple[dict[str, Any], Arrays]:
    values = sorted(sketch.values)
    rows = np.array([sketch.values[value] for value in values], np.int64)
    days = sorted(sketch.day_total)
    by_day = np.zeros((len(days), len(values)), np.uint32)
    for i, day in enumerate(days):
        if day in sketch.by_day:
            by_day[i] = sketch.by_day[day][rows]
    arrays = {
        "total": sketch.total,
        "days": np.array(days, np.int64),
        "day_total": np.array([sketch.day_total[day] for day in days], np.int64),
        "days_kept": np.array(sorted(sketch.by_day), np.int64),
        **_sparse("counts", sketch.counts[rows]),
        **_sparse("by_day", by_day),
    }
    return {"kind": "category", "values": values, "bits": sketch.bits}, arrays


def _column(described: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> NumberSketch | CategorySketch:
    days = arrays["days"].tolist()
    if described["kind"] == "number":
        by_day = _dense(arrays, "by_day", (len(days), BINS + 1))
        by_items = _dense(arrays, "by_items", (GROUPS, BINS + 1)) if described["by_items"] else None
        return NumberSketch(_dense(arrays, "counts", (GROUPS, BINS + 1)), dict(zip(days, by_day, strict=True)), by_items)
    values = described["values"]
    by_day = _dense(arrays, "by_day", (len(days), len(values)))
    kept = set(arrays["days_kept"].tolist())
    return CategorySketch(
        {value: row for row, value in enumerate(values)},
        _dense(arrays, "counts", (len(values), GROUPS)),
        arrays["total"],
        {day: counts for day, counts in zip(days, by_day, strict=True) if day in kept},
        dict(zip(days, arrays["day_total"].tolist(), strict=True)),
        described["bits"],
    )


def _prefixed(arrays: Mapping[str, NDArray[Any]], number: int) -> Arrays:
    prefix = f"{number}."
    return {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}


def _sparse(name: str, dense: NDArray[np.uint32]) -> Arrays:
    """Return the indices of the cells that aren't 0, each as the distance from the one before, and their counts."""
    cells = np.flatnonzero(dense)
    return {f"{name}.cells": np.diff(cells, prepend=0).astype(np.uint32), f"{name}.counts": dense.ravel()[cells]}


def _dense(arrays: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, int]) -> NDArray[np.uint32]:
    dense = np.zeros(shape[0] * shape[1], np.uint32)
    dense[np.cumsum(arrays[f"{name}.cells"], dtype=np.int64)] = arrays[f"{name}.counts"]
    return dense.reshape(shape)
