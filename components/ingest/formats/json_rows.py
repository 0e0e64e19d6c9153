"""Turn scanned JSON objects into frames: follow the paths of columns, and unnest an array."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from components.contract.values.nested_paths import INDEX, Key, Steps, below, steps_of
from components.ingest.counts import LINE
from components.ingest.formats import json_scan as scan
from components.ingest.formats.json_paths import PathValues, follow
from components.ingest.formats.json_scan import Numbers
from components.ingest.formats.json_values import (
    EMPTY,
    LIST,
    Column,
    Keys,
    Lists,
    RowFault,
    Scanner,
    Values,
    elements,
    keys_of,
)


@dataclass(frozen=True)
class RowPlan:
    """The keys to scan for, and the paths that continue from them."""

    keys: Keys
    of_rows: dict[str, tuple[str, Steps]]  # first key and further steps of each column
    of_elements: dict[str, Steps]  # steps of a column within an element of the array to unnest
    array: tuple[str, Steps] | None  # path of that array
    unnest: str
    index: str  # the column of the element's index
    faults: dict[str, str]  # why a name is no path


def row_plan(columns: tuple[str, ...], unnest: str | None) -> RowPlan:
    """Plan how columns are read: the keys to scan for, and the paths from there."""
    of_rows: dict[str, tuple[str, Steps]] = {}
    of_elements: dict[str, Steps] = {}
    faults: dict[str, str] = {}
    array = None if unnest is None else _way(unnest)
    index = "" if unnest is None else f"{unnest}.{INDEX}"
    for name in columns:
        rest = None if unnest is None else below(name, unnest)
        try:
            if rest is None:
                of_rows[name] = _way(name)
            elif name != index:
                of_elements[name] = steps_of(rest) if rest else ()
        except ValueError as fault:
            of_rows[name], faults[name] = (name, ()), str(fault)  # A key may still be called so.
    firsts = [first for first, _ in of_rows.values()] + ([] if array is None else [array[0]])
    return RowPlan(keys_of(tuple(dict.fromkeys([*columns, *firsts]))), of_rows, of_elements, array, unnest or "", index, faults)


def _way(path: str) -> tuple[str, Steps]:
    first, *rest = steps_of(path)
    assert isinstance(first, Key)
    return first.name, tuple(rest)


def frame_of(
    plan: RowPlan, top: Mapping[str, Values], lines: Numbers, made: Mapping[str, Column], array: Column, scanner: Scanner
) -> tuple[pl.DataFrame, int]:
    """Return rows as a frame with LINE, and how many were left out because their array is empty."""
    values = _followed(top, plan.of_rows, scanner)
    if plan.array is None:
        series = [column.series(_named(name, values[name], top[name]), lines, scanner) for name, column in made.items()]
        return pl.DataFrame([*series, pl.Series(LINE, lines)]), 0
    lists = _unnested(_followed(top, {plan.unnest: plan.array}, scanner)[plan.unnest], array, scanner)
    parent = np.repeat(np.arange(len(lines)), lists.lengths)
    within = follow(lists.values, plan.of_elements, scanner, written=plan.unnest)
    series = []
    for name, column in made.items():
        if name in within:
            value = within[name] if name == plan.unnest else _named(name, within[name], top[name].chosen(parent, rows=parent))
            series.append(column.series(value, lines, scanner))
        elif name == plan.index:
            column.seen = True
            firsts = np.cumsum(lists.lengths) - lists.lengths
            series.append(pl.Series(name, np.arange(len(parent)) - np.repeat(firsts, lists.lengths)))
        else:
            series.append(column.series(_named(name, values[name], top[name]), lines, scanner).gather(parent))
    return pl.DataFrame([*series, pl.Series(LINE, lines[parent])]), int((lists.lengths == 0).sum())


def _followed(top: Mapping[str, Values], paths: Mapping[str, tuple[str, Steps]], scanner: Scanner) -> dict[str, PathValues]:
    """Return the values at the end of paths that begin at keys of the rows."""
    of_key: dict[str, dict[str, Steps]] = {}
    for name, (first, steps) in paths.items():
        of_key.setdefault(first, {})[name] = steps
    values: dict[str, PathValues] = {}
    for first, selection in of_key.items():
        values |= follow(top[first], selection, scanner, written=first)
    return values


def _named(name: str, values: PathValues, literal: Values) -> PathValues:
    """Return the values of a path, except for rows that have a key literally so named."""
    if literal is values or not (literal.kinds != scan.ABSENT).any():
        return values
    if isinstance(values, Lists):
        row = literal.row(int(np.argmax(literal.kinds != scan.ABSENT)))
        raise RowFault(row, f"a key is literally called {name!r}, which is also the path of a list in other lines; rename one of them")
    own = literal.kinds != scan.ABSENT
    buffer = np.concatenate([literal.buffer[: literal.ends.max()], values.buffer[: values.ends.max()]])
    shift = np.int32(literal.ends.max())
    starts, ends = (np.where(own, one, other + shift) for one, other in ((literal.starts, values.starts), (literal.ends, values.ends)))
    return Values(buffer, starts.astype(np.int32), ends.astype(np.int32), np.where(own, literal.kinds, values.kinds), values.rows)


def _unnested(values: PathValues, array: Column, scanner: Scanner) -> Lists:
    unnest = array.name
    if isinstance(values, Lists):
        row = values.values.row(0) if len(values.values) else 0
        raise RowFault(row, f"`unnest: {unnest}` leads through another array; unnest that one, or name one element of it as in a[0].b")
    array.seen = array.seen or bool((values.kinds != scan.ABSENT).any())
    forms = values.forms()
    wrong = (forms != LIST) & (forms != EMPTY)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise RowFault(
            values.row(at), f"expected an array in {unnest!r} (see `unnest`), got {values.written(at)}; correct the path, or the line"
        )
    return elements(values, unnest, scanner)
