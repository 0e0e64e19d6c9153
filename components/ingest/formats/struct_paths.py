"""Follow paths into the nested columns of a Parquet file: structs, lists and maps, by the rules that hold for JSON."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from components.contract.errors import InputError
from components.contract.values.nested_paths import INDEX, Element, Key, Match, Steps, below, path_fault, steps_of
from components.ingest.counts import LINE
from components.ingest.formats.json_scan import Numbers
from components.ingest.sources.column_selection import ColumnSelection, MissingColumn, doubled_column, missing_column

_DEEPEST = 4  # names of columns in an error


@dataclass(frozen=True)
class StructPaths:
    """How columns are read from a file's nested ones."""

    path: str
    columns: tuple[str, ...]
    reads: tuple[str, ...]  # what to read, by Parquet's dotted names
    of_rows: dict[str, Steps]  # steps to each column, from the file's columns
    of_elements: dict[str, Steps]  # likewise from an element of the array that is unnested
    array: Steps  # steps to that array
    unnest: str | None


def struct_paths(path: str, schema: pa.Schema, selection: ColumnSelection, unnest: str | None) -> StructPaths | None:
    """Plan how to read columns from a file of that schema; None where all are its top-level columns. Marks the absent
    ones in `selection`.

    Raises:
        InputError: there is neither such a column nor such a path.
    """
    names = schema.names
    if unnest is None and all(name in names or (path_fault(name) is None and len(steps_of(name)) == 1) for name in selection.columns):
        selection.check(path, names)
        return None
    selection.absent = {}
    of_rows: dict[str, Steps] = {}
    of_elements: dict[str, Steps] = {}
    array = () if unnest is None else _checked(path, unnest, schema)
    inner = _type_at(path, schema, array, str(unnest)) if array else None
    if inner is not None and not _is_list(inner):
        raise InputError(f"{path}: expected an array in {unnest!r} (see `unnest`), got {inner}; correct the path")
    for name in selection.columns:
        rest = None if unnest is None or (name in names and name != unnest) else below(name, unnest)
        try:
            if rest is None:
                of_rows[name] = _checked(path, name, schema)
            elif rest != INDEX:
                assert inner is not None
                steps = steps_of(rest) if rest else ()
                _walk(path, inner.value_type, steps, name, _known_names(schema))
                of_elements[name] = steps
        except MissingColumn as error:
            selection.mark_absent(name, error)
    columns = tuple(name for name in selection.columns if name not in selection.absent)
    reads = {_read_name(schema, steps) for steps in (*of_rows.values(), *([array] if array else []))}
    return StructPaths(path, columns, tuple(sorted(reads)), of_rows, of_elements, array, unnest)


def take_columns(batch: pa.RecordBatch, paths: StructPaths, first_row: int) -> tuple[pl.DataFrame, int]:
    """Return the columns of a batch, with LINE where rows were unnested; and the number of rows left out because
    their array is empty."""
    columns = {name: _series(name, _follow(batch, steps, paths.path, name)) for name, steps in paths.of_rows.items()}
    if paths.unnest is None:
        return pl.DataFrame([columns[name] for name in paths.columns]), 0
    array = _follow(batch, paths.array, paths.path, paths.unnest)
    lengths = _lengths(array)
    parent = np.repeat(np.arange(len(lengths)), lengths)
    inner = pc.list_flatten(array)
    series = []
    for name in paths.columns:
        if name in columns:
            series.append(columns[name].gather(parent))
        elif name in paths.of_elements:
            series.append(_series(name, _within(inner, paths.of_elements[name], paths.path, name)))
        else:
            series.append(pl.Series(name, np.arange(len(parent)) - np.repeat(np.cumsum(lengths) - lengths, lengths)))
    return pl.DataFrame([*series, pl.Series(LINE, first_row + parent)]), int((lengths == 0).sum())


def _series(name: str, array: pa.Array) -> pl.Series:
    return pl.Series(name, pl.from_arrow(array))


def _checked(path: str, name: str, schema: pa.Schema) -> Steps:
    """Return the steps to an existing column or path."""
    if name in schema.names:
        if schema.names.count(name) > 1:
            raise doubled_column(path, name, schema.names)
        return (Key(name),)
    try:
        steps = steps_of(name)
    except ValueError as fault:
        raise InputError(f"{path}: expected a column {name!r}, which isn't there, and as a path it can't be read: {fault}") from None
    first = steps[0]
    assert isinstance(first, Key)
    if first.name not in schema.names:
        raise missing_column(path, name, list(_known_names(schema)))
    if schema.names.count(first.name) > 1:
        raise doubled_column(path, first.name, schema.names)
    _type_at(path, schema, steps, name)
    return steps


def _type_at(path: str, schema: pa.Schema, steps: Steps, name: str) -> pa.DataType:
    first = steps[0]
    assert isinstance(first, Key)
    return _walk(path, schema.field(first.name).type, steps[1:], name, _known_names(schema))


def _walk(path: str, kind: pa.DataType, steps: Steps, name: str, known: dict[str, None]) -> pa.DataType:
    """Return the type at the end of steps, or raise InputError where they lead nowhere."""
    for step in steps:
        if pa.types.is_null(kind):
            return kind
        if isinstance(step, Key):
            while _is_list(kind):
                kind = kind.value_type
            if pa.types.is_map(kind):
                kind = kind.item_type
            elif pa.types.is_struct(kind):
                if kind.get_field_index(step.name) < 0:
                    raise missing_column(path, name, [other for other in known if other != name])
                kind = kind.field(step.name).type
            else:
                raise _mismatch(path, name, f"an object with the member {step.name!r}", kind)
        elif not _is_list(kind):
            raise _mismatch(path, name, "an array", kind)
        else:
            kind = kind.value_type
            if isinstance(step, Match) and (not pa.types.is_struct(kind) or kind.get_field_index(step.key) < 0):
                raise _mismatch(path, name, f"an array of objects with the member {step.key!r}", kind)
    return kind


def _mismatch(path: str, name: str, expected: str, actual: pa.DataType) -> InputError:
    return InputError(f"{path}: expected {expected} on the way of {name!r}, got {actual}; correct the path")


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _read_name(schema: pa.Schema, steps: Steps) -> str:
    """Return the name to request from Parquet: the column, or as much of the path as leads through structs alone."""
    first, *rest = steps
    assert isinstance(first, Key)
    name, kind = first.name, schema.field(first.name).type
    for step in rest:
        if not isinstance(step, Key) or not pa.types.is_struct(kind):
            break
        name, kind = f"{name}.{step.name}", kind.field(step.name).type
    return name


def _follow(batch: pa.RecordBatch, steps: Steps, path: str, name: str) -> pa.Array:
    first = steps[0]
    assert isinstance(first, Key)
    return _within(batch.column(batch.schema.get_field_index(first.name)), steps[1:], path, name)


def _within(array: pa.Array, steps: Steps, path: str, name: str) -> pa.Array:
    """Return the values at the end of steps within an array's values."""
    for at, step in enumerate(steps):
        if pa.types.is_null(array.type):
            return array
        if isinstance(step, Element):
            array = _one_of_each(array, np.full(len(array), step.at))
        elif isinstance(step, Match):
            array = _first_match(array, step)
        elif pa.types.is_struct(array.type):
            array = pc.struct_field(array, [array.type.get_field_index(step.name)])
        elif pa.types.is_map(array.type):
            array = _looked_up(array, step.name)
        else:  # a list: the member of each element
            inner = _within(pc.list_flatten(array), steps[at:], path, name)
            if _is_list(inner.type):
                raise InputError(f"{path}: {name!r} leads through an array within an array; unnest one of them")
            offsets = pa.array(np.concatenate([[0], np.cumsum(_lengths(array))]), pa.int64())
            return pa.LargeListArray.from_arrays(offsets, inner, mask=pc.is_null(array) if array.null_count else None)
    return array


def _lengths(array: pa.Array) -> Numbers:
    return pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False).astype(np.int64)  # type: ignore[no-any-return]


def _one_of_each(array: pa.Array, at: Numbers) -> pa.Array:
    """Return the element at an index of each list, null where it has none."""
    lengths = _lengths(array)
    present = (at >= 0) & (at < lengths)
    indices = np.where(present, np.cumsum(lengths) - lengths + at, 0)
    return pc.list_flatten(array).take(pa.array(indices, mask=~present))


def _first_match(array: pa.Array, step: Match) -> pa.Array:
    inner, lengths = pc.list_flatten(array), _lengths(array)
    key = pc.struct_field(inner, [inner.type.get_field_index(step.key)])
    same = np.flatnonzero(pc.fill_null(pc.equal(pc.cast(key, pa.string()), step.value), False).to_numpy(zero_copy_only=False))
    row, first = np.unique(np.repeat(np.arange(len(lengths)), lengths)[same], return_index=True)
    at = np.full(len(lengths), -1)
    at[row] = same[first] - (np.cumsum(lengths) - lengths)[row]
    return _one_of_each(array, at)


def _looked_up(array: pa.Array, name: str) -> pa.Array:
    try:
        key = pa.scalar(name).cast(array.type.key_type)
    except pa.ArrowInvalid:
        return pa.nulls(len(array), array.type.item_type)
    return pc.map_lookup(array, key, "first")


def _known_names(schema: pa.Schema) -> dict[str, None]:
    """Return the names of columns and of paths through structs and lists of them."""

    def within(kind: pa.DataType, before: str, depth: int) -> Iterator[str]:
        while _is_list(kind):
            kind = kind.value_type
        if pa.types.is_struct(kind) and depth < _DEEPEST:
            for field in kind:
                yield f"{before}.{field.name}"
                yield from within(field.type, f"{before}.{field.name}", depth + 1)

    names: dict[str, None] = {}
    for field in schema:
        names |= dict.fromkeys([field.name, *within(field.type, field.name, 1)])
    return names
