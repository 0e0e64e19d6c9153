"""One log in every format and cut gives the same examples."""

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from components.contract.errors import InputError
from components.contract.sources import Table
from components.ingest.formats import readers
from components.ingest.sources import files
from components.ingest.sources.files import file_format, layout, resolve
from tests.components.ingest.generators.plain_shop import SHOP, as_csv, as_json_lines, requests, run_ingest, shop, write
from tests.components.ingest.generators.random_shops import everything, parsed

CSV, JSON_LINES = as_csv(requests()), as_json_lines(requests())


def zipped(*texts: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for n, text in enumerate(texts):
            archive.writestr(f"{n}.csv", text)
    return sink.getvalue()


FORMATS: dict[str, bytes] = {
    "e.csv": CSV.encode(),
    "e.tsv": CSV.replace(",", "\t").encode(),
    "e.jsonl": JSON_LINES.encode(),
    "e.ndjson": JSON_LINES.rstrip("\n").encode(),
    "e.csv.gz": gzip.compress(CSV.encode()),
    "e.tsv.gz": gzip.compress(CSV.replace(",", "\t").encode()),
    "e.jsonl.gz": gzip.compress(JSON_LINES.encode()),
    "e.csv.zst": zstandard.compress(CSV.encode()),
    "e.jsonl.zst": zstandard.compress(JSON_LINES.encode()),
    "E.CSV": CSV.encode(),
    "E.TSV.GZ": gzip.compress(CSV.replace(",", "\t").encode()),
    "packed.csv": gzip.compress(CSV.encode()),
    "zstd.jsonl": zstandard.compress(JSON_LINES.encode()),
    "not packed.csv.gz": CSV.encode(),
    "packed twice.csv.gz": gzip.compress(gzip.compress(CSV.encode())),
    "e.csv.bz2": bz2.compress(CSV.encode()),
    "e.jsonl.xz": lzma.compress(JSON_LINES.encode()),
    "e.csv.zip": zipped(CSV),
    "marked.jsonl": codecs.BOM_UTF8 + JSON_LINES.encode(),
    "utf-16.csv": CSV.encode("utf-16"),
    "utf-16.jsonl": codecs.BOM_UTF16_BE + JSON_LINES.encode("utf-16-be"),
    "two members.csv.gz": gzip.compress(CSV[:700].encode()) + gzip.compress(CSV[700:].encode()),
}


def examples(folder: Path, name: str) -> str:
    made, _, counts, samples = run_ingest(folder, SHOP.replace("events.csv", name))
    assert (counts["rows read"], counts["rows kept"], samples) == (60, 60, {})
    return repr(sorted(everything(made.examples).items()))


@pytest.fixture
def wanted(tmp_path: Path) -> str:
    (tmp_path / "plain").mkdir()
    shop(tmp_path / "plain")
    return examples(tmp_path / "plain", "events.csv")


@pytest.mark.parametrize("chunk", [64 << 20, 1000], ids=["whole", "in chunks"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_text_format_reads_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, name: str, chunk: int) -> None:
    monkeypatch.setattr(readers, "CHUNK_BYTES", chunk)
    shop(tmp_path)
    write(tmp_path, name, FORMATS[name])
    assert examples(tmp_path, name) == wanted


PARQUETS: dict[str, Callable[[pa.Table], pa.Table]] = {
    "text": lambda table: table,
    "times": lambda table: pa.table(
        pl.DataFrame(pl.from_arrow(table)).with_columns(pl.col("at").str.to_datetime("%+", time_zone="Europe/Berlin")).to_arrow()
    ),
    "dictionaries": lambda table: pa.table({name: table[name].dictionary_encode() for name in table.column_names}),
    "bytes": lambda table: table.set_column(1, "user", table["user"].cast(pa.binary())),
    "large text": lambda table: table.cast(pa.schema([(name, pa.large_string()) for name in table.column_names])),
    "decimals": lambda table: table.set_column(
        table.column_names.index("shown_price"), "shown_price", pa.array([5] * 60, pa.decimal128(9, 2))
    ),
}


@pytest.mark.parametrize("kind", PARQUETS)
def test_every_type_of_parquet_reads_alike(tmp_path: Path, wanted: str, kind: str) -> None:
    shop(tmp_path)
    pq.write_table(PARQUETS[kind](pa.Table.from_pylist(requests())), tmp_path / "e.parquet", row_group_size=7)
    assert examples(tmp_path, "e.parquet") == wanted


def test_files_of_several_sources_and_formats_are_one_log(tmp_path: Path, wanted: str) -> None:
    """Impressions in one place, clicks in another, which needs no action column."""
    shop(tmp_path)
    rows = requests()
    shows = [row for row in rows if row["action"] == "show"]
    write(tmp_path, "shows/1.csv", as_csv(shows[:10]))
    write(tmp_path, "shows/2.jsonl", as_json_lines(shows[10:]))
    write(tmp_path, "clicks.tsv", as_csv([row for row in rows if row["action"] == "click"]).replace(",", "\t"))
    columns = "time: at, user: user, item: item, request: request"
    text = SHOP.replace("  path: events.csv\n  columns: {time: at, user: user, item: item, action: action, request: request}", "")
    text = text.replace(
        "events:\n",
        f"events:\n  - {{path: shows/*, columns: {{{columns}}}, action: show}}\n"
        f"  - {{path: clicks.tsv, columns: {{{columns}, action: action}}}}",
    )
    made, _, counts, _ = run_ingest(tmp_path, text)
    assert counts["files read"] == 3
    assert repr(sorted(everything(made.examples).items())) == wanted


def test_a_column_that_no_one_needs_is_not_read(tmp_path: Path, wanted: str) -> None:
    """It can't be wrong either."""
    shop(tmp_path)
    table = pa.Table.from_pylist(requests()).append_column("more", pa.array([{"deep": [1]}] * 60))
    pq.write_table(table, tmp_path / "e.parquet")
    assert examples(tmp_path, "e.parquet") == wanted
    write(tmp_path, "e.csv", "\n".join(f"{line},{'more' if n == 0 else '&'}" for n, line in enumerate(CSV.splitlines())).encode())
    assert examples(tmp_path, "e.csv") == wanted


@pytest.mark.parametrize(
    ("path", "values", "result"),
    [
        ("a/b.parquet", None, "parquet"),
        ("b.pq", None, "parquet"),
        ("b.csv", None, "csv"),
        ("b.tsv.gz", None, "csv"),
        ("b.jsonl.zst", None, "jsonl"),
        ("b.json.zstd", None, "jsonl"),
        ("B.CSV", None, "csv"),
        ("b.Tsv.GZ", None, "csv"),
        ("b.Parquet", None, "parquet"),
        ("b.csv.bz2", None, "csv"),
        ("b.gz", "csv", "csv"),
        ("part-0", "jsonl", "jsonl"),
    ],
)
def test_the_ending_tells_the_format_unless_the_file_says_it(path: str, values: Table | None, result: str) -> None:
    assert file_format(path, values) == result  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["b", "b.gz", "b.txt", "b.csv.rar"])
def test_an_ending_that_tells_nothing_is_an_error_that_lists_those_that_do(path: str) -> None:
    with pytest.raises(InputError, match=r"expected one of .parquet, .pq, .csv, .tsv, .jsonl, .ndjson, .json, or give `format`"):
        file_format(path, None)


def test_relative_paths_are_looked_up_under_the_data_folder() -> None:
    assert resolve("a/*.csv", "data") == "data/a/*.csv"
    assert resolve("/a/b.csv", "data") == "/a/b.csv"
    assert resolve("gs://bucket/b.csv", "data") == "gs://bucket/b.csv"
    assert resolve("b.csv", "gs://bucket/data") == "gs://bucket/data/b.csv"


def test_a_parquet_file_is_cut_at_row_groups_into_blocks_that_know_their_first_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """60 rows in groups of 7: a block is closed by the group that brings it to 20 rows or more."""
    monkeypatch.setattr(files, "BLOCK_ROWS", 20)
    pq.write_table(pa.Table.from_pylist(requests()), tmp_path / "e1.parquet", row_group_size=7)
    pq.write_table(pa.Table.from_pylist(requests()[:1]), tmp_path / "e2.parquet")
    pq.write_table(pa.Table.from_pylist(requests()).slice(0, 0), tmp_path / "e3.parquet")
    result = layout(parsed(SHOP.replace("events.csv", "e*.parquet")), str(tmp_path))
    assert [(block.order, block.file_order, block.first_row, block.row_groups) for block in result.blocks] == [
        (0, 0, 0, (0, 1, 2)),
        (1, 0, 21, (3, 4, 5)),
        (2, 0, 42, (6, 7, 8)),
        (3, 1, 0, (0,)),
    ]
    assert result.rows == 61
    assert result.empty_files == (str(tmp_path / "e3.parquet"),)
