"""Convert a file's sample to named columns of text, whatever its format."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from components.contract.errors import InputError
from components.contract.sources import Format
from components.profiling.samples.csv_dialect import Dialect, parse_lines, recognise_dialect
from components.profiling.samples.file_sample import Compression, FileSample
from components.profiling.samples.fill_down import FillDown, filled_down, recognise_fill_down

MAX_ROWS = 60_000
_MAX_KEYS = 40  # most keys of an array of keys and values, the most frequent ones
_KEY_NAMES = ("key", "name", "k")


@dataclass(frozen=True)
class SampledTable:
    """The rows of a file's sample, as text.

    `columns`: name to values, null where missing; nested values by their path (`device.category`). `native_times`:
    columns that a Parquet file declares to be times. `vectors`: columns of lists of numbers, with their length if they
    have one. `arrays`: columns of lists of text, here joined by `|`. `unnest`: the array whose elements are the rows
    here. `fill_down`: the columns that later rows of a group leave out, filled here. `first_lines`: the raw lines.
    """

    path: str
    size: int
    format: Format
    whole: bool
    columns: dict[str, pl.Series]
    compression: Compression | None = None
    encoding: str = "utf-8"
    dialect: Dialect | None = None
    field_counts: dict[int, int] = field(default_factory=dict)
    native_times: frozenset[str] = frozenset()
    vectors: dict[str, int | None] = field(default_factory=dict)
    arrays: frozenset[str] = frozenset()
    unnest: str | None = None
    fill_down: FillDown | None = None
    first_lines: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.columns.values()))) if self.columns else 0

    @property
    def has_header(self) -> bool:
        """Whether the file itself names its columns."""
        return self.dialect is None or self.dialect.header


def sampled_table(sample: FileSample, *, header: Sequence[str] = ()) -> SampledTable:
    """Parse the rows of a sample; `header` names the columns of a file without a header.

    Raises:
        InputError: the file isn't of the format that it begins like.
    """
    match sample.format:
        case "parquet":
            return _parquet(sample)
        case "jsonl":
            return _json_lines(sample)
        case _:
            return _csv(sample, header)


def _csv(sample: FileSample, header: Sequence[str]) -> SampledTable:
    dialect = recognise_dialect(sample.head)
    rows = parse_lines(sample.head.splitlines()[: MAX_ROWS + 1], dialect)
    names = [name.strip() for name in (rows[0] if dialect.header else header)]
    rows = rows[1:] if dialect.header else rows
    counts = Counter(map(len, rows))
    width = len(names) or (counts.most_common(1)[0][0] if counts else 0)
    names = names or [f"column_{at}" for at in range(1, width + 1)]
    for spot in sample.spots:
        rows += parse_lines(spot.splitlines()[: MAX_ROWS // 10], dialect)
    kept = [row for row in rows if len(row) == width]
    values = {name: pl.Series([row[at].strip() or None for row in kept], dtype=pl.String) for at, name in enumerate(names)}
    return _table(sample, values, dialect=dialect, field_counts=dict(counts))


def _json_lines(sample: FileSample) -> SampledTable:
    objects = list(_objects(sample))
    if not objects:
        raise InputError(f"{sample.path}: expected a JSON object on each line, found none; convert it to JSON Lines, CSV or Parquet")
    return _nested(sample, objects)


def _objects(sample: FileSample) -> Iterator[dict[str, Any]]:
    if sample.head.lstrip().startswith("["):
        if sample.whole:
            try:
                yield from (each for each in json.loads(sample.head) if isinstance(each, dict))
            except ValueError as error:
                raise InputError(f"{sample.path}: expected JSON Lines, found what begins like a JSON array and isn't: {error}") from None
            return
        raise InputError(f"{sample.path}: expected JSON Lines, found one JSON array; write an object on each line (jq -c '.[]')")
    for at, line in enumerate((*sample.head.splitlines()[:MAX_ROWS], *(line for spot in sample.spots for line in spot.splitlines()))):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            if at < 2:  # Later broken lines are reported by ingestion.
                raise InputError(f"{sample.path}, line {at + 1}: expected a JSON object on each line: {error}") from None
            continue
        if isinstance(value, dict):
            yield value


def _parquet(sample: FileSample) -> SampledTable:
    try:
        file = pq.ParquetFile(sample.path)
        groups = file.metadata.num_row_groups
        parts = [next(file.iter_batches(MAX_ROWS, row_groups=[group]), None) for group in sorted({0, groups // 2} if groups else set())]
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{sample.path}: can't be read as Parquet: {error}; is the file whole?") from None
    batches = [part for part in parts if part is not None]
    if not batches or not sum(len(batch) for batch in batches):
        raise InputError(f"{sample.path}: expected rows, found none; leave it out")
    frame = pl.DataFrame(pl.from_arrow(pa.Table.from_batches(batches)))
    whole = len(frame) == file.metadata.num_rows
    nested = [name for name, kind in frame.schema.items() if kind.is_nested() and not _is_plain_list(kind)]
    if nested:
        return _nested(sample, frame.head(MAX_ROWS // 3).to_dicts(), whole=whole and len(frame) <= MAX_ROWS // 3)
    vectors: dict[str, int | None] = {}
    arrays: set[str] = set()
    values: dict[str, pl.Series] = {}
    for name, column in zip(frame.columns, frame.iter_columns(), strict=True):
        if isinstance(column.dtype, pl.List | pl.Array):
            inner = column.dtype.inner
            lengths = column.arr.len() if isinstance(column.dtype, pl.Array) else column.list.len()
            if inner.is_float():
                vectors[name] = _one_length(lengths.drop_nulls().to_list())
            else:
                arrays.add(name)
            values[name] = column.cast(pl.List(pl.String)).list.join("|")
        else:
            values[name] = _text(column)
    times = frozenset(name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime | pl.Date))
    made = _table(sample, values, whole=whole)
    return SampledTable(**{**made.__dict__, "native_times": times, "vectors": vectors, "arrays": frozenset(arrays)})


def _is_plain_list(kind: pl.DataType) -> bool:
    return isinstance(kind, pl.List | pl.Array) and not kind.inner.is_nested()


def _text(column: pl.Series) -> pl.Series:
    if column.dtype.is_float() and bool((column.drop_nulls() == column.drop_nulls().floor()).all()):
        return column.fill_nan(None).cast(pl.Int64, strict=False).cast(pl.String)
    if column.dtype == pl.Binary:
        return column.cast(pl.String, strict=False)
    return column.cast(pl.String)


def _one_length(lengths: Sequence[int]) -> int | None:
    return lengths[0] if lengths and len(set(lengths)) == 1 else None


def _nested(sample: FileSample, objects: Sequence[dict[str, Any]], *, whole: bool | None = None) -> SampledTable:
    array = _array_of_events(objects)
    rows: list[dict[str, Any]] = []
    keys = _frequent_keys(objects)
    for each in objects:
        outer = dict(_leaves(each, "", keys, array))
        if array is None:
            rows.append(outer)
        else:
            for at, element in enumerate(_at(each, array) or []):
                inner = dict(_leaves(element, f"{array}.", {}, None)) if isinstance(element, dict) else {array: element}
                rows.append({**outer, f"{array}.#": str(at), **inner})
        if len(rows) >= MAX_ROWS:
            break
    names = list(dict.fromkeys(name for row in rows for name in row))
    vectors, arrays, values = dict[str, int | None](), set[str](), dict[str, pl.Series]()
    for name in names:
        column = [row.get(name) for row in rows]
        lists = [value for value in column if isinstance(value, list)]
        if lists:
            if all(isinstance(part, float) for value in lists for part in value):
                vectors[name] = _one_length([len(value) for value in lists])
            else:
                arrays.add(name)
            column = ["|".join(map(str, value)) if isinstance(value, list) else value for value in column]
        values[name] = pl.Series([None if value is None or value == "" else _json_text(value) for value in column], dtype=pl.String)
    made = _table(sample, values, whole=whole)
    return SampledTable(**{**made.__dict__, "vectors": vectors, "arrays": frozenset(arrays), "unnest": array})


def _json_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _array_of_events(objects: Sequence[dict[str, Any]]) -> str | None:
    """Find the path of an array of objects that most objects have, other than one of keys and values."""
    seen: Counter[str] = Counter()
    for each in objects[:2000]:
        for path, value in _arrays(each, ""):
            if not any(_key_of(element) for element in value):
                seen[path] += 1
    return seen.most_common(1)[0][0] if seen else None


def _arrays(value: dict[str, Any], prefix: str) -> Iterator[tuple[str, list[Any]]]:
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _arrays(inner, f"{prefix}{name}.")
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            yield f"{prefix}{name}", inner


def _key_of(element: Any) -> str | None:
    """Return the name of the key member of an element `{key: ..., value: ...}`."""
    if isinstance(element, dict) and len(element) == 2:
        return next((name for name in _KEY_NAMES if isinstance(element.get(name), str)), None)
    return None


def _frequent_keys(objects: Sequence[dict[str, Any]]) -> dict[str, set[str]]:
    """Return by path of each array of keys and values its most frequent keys."""
    seen: dict[str, Counter[str]] = {}
    for each in objects[:2000]:
        for path, value in _arrays(each, ""):
            for element in value:
                if name := _key_of(element):
                    seen.setdefault(path, Counter())[element[name]] += 1
    return {path: {key for key, _ in counts.most_common(_MAX_KEYS)} for path, counts in seen.items()}


def _leaves(value: dict[str, Any], prefix: str, keys: dict[str, set[str]], skipped: str | None) -> Iterator[tuple[str, Any]]:
    """Yield path and value of every nested value that is no object; arrays of keys and values have a path a key."""
    for name, inner in value.items():
        path = f"{prefix}{name}"
        if path == skipped:
            continue
        if isinstance(inner, dict):
            yield from _leaves(inner, f"{path}.", keys, skipped)
        elif path in keys and isinstance(inner, list):
            for element in inner:
                key = _key_of(element)
                if key and element[key] in keys[path]:
                    (rest,) = (other for other in element if other != key)
                    yield from _leaves({rest: element[rest]}, f"{path}[{key}={element[key]}].", {}, None)
        elif not (isinstance(inner, list) and inner and isinstance(inner[0], dict)):
            yield path, inner


def _at(value: dict[str, Any], path: str) -> Any:
    member: Any = value
    for part in path.split("."):
        member = member.get(part) if isinstance(member, dict) else None
    return member


def _table(
    sample: FileSample,
    values: dict[str, pl.Series],
    *,
    dialect: Dialect | None = None,
    field_counts: dict[int, int] | None = None,
    whole: bool | None = None,
) -> SampledTable:
    fill = recognise_fill_down(values) if sample.format == "csv" else None
    if fill is not None:
        values = filled_down(values, fill)
    return SampledTable(
        path=sample.path,
        size=sample.size,
        format=sample.format,
        whole=sample.whole if whole is None else whole,
        columns={name: column.alias(name) for name, column in values.items()},
        fill_down=fill,
        first_lines=tuple(sample.head[: 1 << 20].splitlines()[:200]),
        compression=sample.compression,
        encoding=sample.encoding,
        dialect=dialect,
        field_counts=field_counts or {},
    )
