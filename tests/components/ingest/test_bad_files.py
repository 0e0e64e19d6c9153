"""A file that can't be read stops ingestion: the error names the file, the column or the row, and what to do."""

import bz2
import gzip
import io
import json
import lzma
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from components.contract.errors import InputError
from components.ingest.formats import readers
from tests.components.ingest.generators.plain_shop import SHOP, Rows, as_csv, as_json_lines, requests, run_ingest, shop, write


def as_parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


CSV = as_csv(requests())
LINES = CSV.splitlines()
JSON_LINES = as_json_lines(requests())
TABLE = pa.Table.from_pylist(requests())
PARQUET = as_parquet(TABLE)
GZIPPED, PACKED = gzip.compress(CSV.encode(), mtime=0), zstandard.compress(CSV.encode())


def refused(folder: Path, name: str, content: str | bytes) -> str:
    """The error of a shop whose events are that file."""
    shop(folder)
    path = write(folder, name, content)
    with pytest.raises(InputError) as error:
        run_ingest(folder, SHOP.replace("events.csv", name))
    assert str(error.value).startswith(str(path))
    return str(error.value).removeprefix(str(path))


def spoilt(content: bytes, first: int, length: int) -> bytes:
    return content[:first] + bytes(byte ^ 255 for byte in content[first : first + length]) + content[first + length :]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("e.parquet", PARQUET[:-50], ": can't be read as Parquet: "),
        ("e.parquet", PARQUET[:40], ": can't be read as Parquet: "),
        ("e.parquet", b"", ": can't be read as Parquet: "),
        ("e.parquet", spoilt(PARQUET, 40, 100), ": can't be read as Parquet from row 0 on: "),
        ("e.csv.gz", GZIPPED[: len(GZIPPED) // 2], ": can't be read: Truncated compressed stream; "),
        ("e.csv.gz", spoilt(GZIPPED, 100, 10), ": can't be read: zlib inflate failed: "),
        ("e.csv.gz", spoilt(GZIPPED, len(GZIPPED) - 8, 8), ": can't be read: zlib inflate failed: incorrect data check; "),
        ("e.csv.zst", PACKED[: len(PACKED) // 2], ": can't be read: Truncated compressed stream; "),
        ("e.jsonl.gz", gzip.compress(JSON_LINES.encode())[:300], ": can't be read: Truncated compressed stream; "),
        ("e.csv.bz2", bz2.compress(CSV.encode())[:200], ": can't be read: Compressed file ended before the end-of-stream marker"),
        ("e.csv.xz", lzma.compress(CSV.encode())[:150], ": can't be read: Compressed file ended before the end-of-stream marker"),
    ],
)
def test_a_file_that_is_broken_or_cut_off_is_an_error(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    error = refused(tmp_path, name, content)
    assert error.startswith(message)
    assert "is the file whole" in error


def test_text_in_another_encoding_is_an_error_that_tells_column_line_and_remedy(tmp_path: Path) -> None:
    error = refused(tmp_path, "e.csv", CSV.replace("home", "Grüße", 1).encode("latin-1"))
    assert error.startswith(r", line 2: expected UTF-8 in column 'page', got b'Gr\xfc\xdfe'; give the file's `encoding`")


def test_a_file_of_unknown_kind_is_an_error(tmp_path: Path) -> None:
    assert refused(tmp_path, "e.xml", CSV).startswith(": can't tell its format from its ending; expected one of .parquet,")


def test_a_folder_that_is_called_like_a_file_is_an_error(tmp_path: Path) -> None:
    for name in ("e.csv", "e.jsonl", "e.parquet"):
        (tmp_path / name).mkdir()
        shop(tmp_path)
        with pytest.raises(InputError, match=f"{name}: "):
            run_ingest(tmp_path, SHOP.replace("events.csv", name))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("e.csv", CSV.replace("shown_price", "shown_prize", 1)),
        ("e.tsv", CSV.replace("shown_price", "shown_prize", 1).replace(",", "\t")),
        ("e.jsonl", JSON_LINES.replace("shown_price", "shown_prize")),
        ("e.parquet", as_parquet(TABLE.rename_columns([name.replace("shown_price", "shown_prize") for name in TABLE.column_names]))),
    ],
)
def test_a_missing_column_is_an_error_that_names_it_and_the_closest(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert refused(tmp_path, name, content) == ": expected a column 'shown_price', which isn't there; did you mean 'shown_prize'?"


@pytest.mark.parametrize(("table", "column"), [("items", "title"), ("users", "age"), ("users", "id")])
def test_a_missing_column_of_a_table_is_an_error(tmp_path: Path, table: str, column: str) -> None:
    shop(tmp_path)
    path = tmp_path / f"{table}.csv"
    pl.read_csv(path).rename({column: f"{column}_"}).write_csv(path)
    with pytest.raises(InputError, match=rf"{table}.csv: expected a column '{column}', which isn't there; did you mean '{column}_'\?"):
        run_ingest(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("e.csv", "\n".join(f"{line},{'user' if n == 0 else 'x'}" for n, line in enumerate(LINES))),
        ("e.parquet", as_parquet(TABLE.append_column("user", TABLE["user"]))),
    ],
)
def test_a_column_that_stands_twice_is_an_error(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert refused(tmp_path, name, content) == ": expected one column 'user', found 2; rename all but the one that is meant"


STRUCTURES = {"struct": [{"a": 1}] * 60, "map": pa.array([[("a", 1)]] * 60, pa.map_(pa.string(), pa.int64())), "lists": [[["a"]]] * 60}
DURATIONS = pa.array([1] * 60, pa.duration("us"))


@pytest.mark.parametrize("column", ["at", "item", "shown_price"])
@pytest.mark.parametrize("values", [*STRUCTURES.values(), DURATIONS], ids=[*STRUCTURES, "duration"])
def test_a_column_of_structures_is_an_error(tmp_path: Path, column: str, values: Any) -> None:
    table = TABLE.set_column(TABLE.column_names.index(column), column, values if isinstance(values, pa.Array) else pa.array(values))
    error = refused(tmp_path, "e.parquet", as_parquet(table))
    assert error.startswith(f": expected text, numbers, times or lists of them in column {column!r}, got ")
    assert error.endswith(f"; name a value within it by its path, such as {column}.KEY, or flatten it first")


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (
            "at",
            [True] * 60,
            ", column 'at': expected times, got Boolean; numbers since 1970, ISO 8601 text, dates and timestamps",
        ),
        ("at", [["a"]] * 60, ", column 'at': expected times, got List(String); numbers since 1970, ISO 8601 text, dates and "),
        ("at", [None] * 60, ": no time in column 'at' can be parsed, the first is None; expected ISO 8601 or numbers since 1970 "),
        ("page", [b"\xff\xfe"] * 60, ": column 'page' is neither text nor numbers: "),
        (
            "shown_price",
            [["a"]] * 60,
            ", from row 0: expected numbers in column 'shown_price' (feature 'shown_price'), got 'a'; is it the right column, and",
        ),
        (
            "shown_price",
            [float("inf")] * 60,
            ", from row 0: expected numbers in column 'shown_price' (feature 'shown_price'), got 'inf'",
        ),
    ],
)
def test_a_column_of_another_type_is_an_error(tmp_path: Path, column: str, values: list[Any], message: str) -> None:
    table = TABLE.set_column(TABLE.column_names.index(column), column, pa.array(values))
    assert refused(tmp_path, "e.parquet", as_parquet(table)).startswith(message)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (["0.1 0.2", "0.3 0.4"], "from row 0: expected vectors in column 'look' (feature 'look'), got String; a column of lists of 2"),
        ([[1.0, 2.0], [1.0]], "from row 1: expected vectors of 2 numbers in column 'look', got one of 1; correct it, or leave it empty"),
    ],
)
def test_vectors_of_another_length_or_type_are_an_error(tmp_path: Path, vectors: list[Any], message: str) -> None:
    shop(tmp_path)
    items = pl.read_csv(tmp_path / "items.csv").with_columns(pl.Series("look", vectors))
    items.write_parquet(tmp_path / "items.parquet")
    with pytest.raises(InputError) as error:
        run_ingest(tmp_path, SHOP.replace("items.csv", "items.parquet") + "  - {name: look, kind: vector, side: item, size: 2}\n")
    assert message in str(error.value)
    assert str(tmp_path / "items.parquet") in str(error.value)


def replaced(line: int, text: str) -> str:
    lines = JSON_LINES.splitlines()
    return "\n".join([*lines[: line - 1], text, *lines[line:]])


@pytest.mark.parametrize("text", ['{"at": "2026-', "[1, 2]", "5", '{"at": "2026-02-01"} {}', "at,user"])
def test_a_line_that_is_no_json_object_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    error = refused(tmp_path, "e.jsonl", replaced(7, text))
    assert error == f", line 7: expected one JSON object, got {text!r}; correct the line, or take it out"


def test_the_number_of_a_broken_line_counts_blank_lines_and_earlier_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "CHUNK_BYTES", 500)
    error = refused(tmp_path, "e.jsonl", f"\n\n{replaced(50, '{')}")
    assert error.startswith(", line 52: expected one JSON object, got '{'")


@pytest.mark.parametrize(
    ("value", "kind"), [(True, "true or false"), ([5], "a list"), ({"eur": 5}, "an object")], ids=["bool", "list", "object"]
)
def test_a_json_column_of_two_types_is_an_error_that_names_both_lines(tmp_path: Path, value: Any, kind: str) -> None:
    rows: Rows = [row | {"shown_price": 5} for row in requests()]
    rows[6]["shown_price"] = value
    error = refused(tmp_path, "e.jsonl", as_json_lines(rows))
    assert error == f", line 7: column 'shown_price' has {kind}, and a number in line 1; keep to one type"


@pytest.mark.parametrize("value", ["5.5", 5.5, None])
def test_json_numbers_may_be_text_or_missing(tmp_path: Path, value: Any) -> None:
    rows: Rows = [row | {"shown_price": 5} for row in requests()]
    rows[4]["shown_price"] = value
    shop(tmp_path)
    write(tmp_path, "e.jsonl", "\n".join(json.dumps(row) for row in rows))
    made, _, counts, samples = run_ingest(tmp_path, SHOP.replace("events.csv", "e.jsonl"))
    assert (counts["rows kept"], samples) == (60, {})
    assert str(made.examples["train"]["u1", "r1"]["shown_price"]) == str([5.0, float(value or "nan")])
