"""Tables written in random dialects are read back equal, or an error says why not: never otherwise in silence."""

import bz2
import gzip
import io
import lzma
import re
import zipfile
from pathlib import Path

import polars as pl
import pytest
import zstandard
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from components.contract.errors import InputError
from components.contract.sources import Table
from components.ingest.counts import Counts
from components.ingest.formats import readers
from components.ingest.formats.readers import frames
from components.ingest.sources.blocks import ROW, Block
from tests.components.ingest.generators.csv_writer import Written, write_csv

PACKINGS = (lambda text: text, gzip.compress, bz2.compress, lzma.compress, zstandard.compress)
NAMES = ["id", "title", "price"]
MARKS = ['"', "'", "\\", ",", ";", "\t", "::", ":", "|", "\n", "\r", "\r\n", " ", "#"]
PIECES = st.sampled_from([*MARKS, "a", "mug", "0", "12.5", "ü", "—", "日本", "sep=;", "id", "title", "N", ""])
VALUES = st.lists(PIECES, max_size=5).map("".join)
# As writers of such dialects do it: the separator and the quote differ, and without quotes nothing can be written that needs them.
DIALECTS = st.builds(
    Written,
    separator=st.sampled_from([",", ";", "\t", "|", "::", "||", "¦", " ", "\x01"]),
    quote=st.sampled_from(['"', '"', "'", ""]),
    escape=st.sampled_from(["", "", "\\"]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    always=st.booleans(),
    header=st.booleans(),
)


def read(folder: Path, content: bytes, table: Table) -> tuple[list[list[str]], Counts]:
    """The rows of a file, and what was counted."""
    path = folder / table.path
    path.write_bytes(content)
    counts = Counts()
    parts = [part.select(*NAMES, ROW) for part in frames(Block(0, 0, str(path), 0, 0), table, tuple(NAMES), counts)]
    rows = pl.concat(parts) if parts else pl.DataFrame(schema=[*NAMES, ROW])
    assert rows[ROW].is_sorted()
    return [list(row) for row in rows.select(pl.col(NAMES).cast(pl.String).fill_null("")).rows()], counts


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(VALUES, min_size=3, max_size=3), min_size=1, max_size=12),
    written=DIALECTS,
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252", "shift_jis"]),
    packing=st.sampled_from(PACKINGS),
    chunk=st.sampled_from([7, 60, 64 << 20]),
    declared=st.booleans(),
)
def test_a_table_in_any_dialect_is_read_back_equal_or_refused(
    tmp_path: Path,
    rows: list[list[str]],
    written: Written,
    encoding: str,
    packing: object,
    chunk: int,
    declared: bool,
) -> None:
    """Also where the dataset file doesn't declare the dialect: then an error, or rows that are counted as rejected."""
    assume(all(written.can_hold(value) for row in rows for value in row))
    text = write_csv(NAMES, rows, written)
    try:
        content = packing(text.encode(encoding))  # type: ignore[operator]
    except UnicodeEncodeError:
        assume(False)
    said = {"separator": written.separator, "quote": written.quote, "escape": written.escape}
    if not declared:
        said = {"separator": written.separator}
    elif encoding not in ("utf-8", "utf-8-sig", "utf-16"):
        said["encoding"] = encoding
    table = Table.model_validate({"path": "t.csv", "id": "id", **said, **({} if written.header else {"header": NAMES})})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "CHUNK_BYTES", chunk)
        try:
            result, counts = read(tmp_path, content, table)
        except InputError:
            return
    flaws = sum(number for name, number in counts.numbers.items() if name.startswith(("rejected", "kept", "left out")))
    if declared or (written.quote == '"' and not written.escape):
        assert result == rows or flaws


def table(**said: object) -> Table:
    return Table.model_validate({"path": "t.csv", "id": "id", **said})


ROWS = [[str(100 + n), f"mug {n}", f"{n}.5"] for n in range(10)]
PLAIN = write_csv(NAMES, ROWS, Written())
LINES = PLAIN.splitlines()
QUOTED = [[key, f'a "big" mug, {title}', price] for key, title, price in ROWS]


def wide(separator: str = ",") -> str:
    return "\n".join(separator.join(line.split(",")) for line in LINES)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (PLAIN.replace("\n", "\n\n"), {}),
        (PLAIN.replace("\n", "\r"), {}),
        (PLAIN.replace("\n", "\r\n"), {}),
        (f"# exported 2026-03-01\n{PLAIN}", {}),
        (f"Catalogue of March\n\nby,me\n{PLAIN}", {}),
        (f"#{PLAIN}", {}),
        (f"sep=,\n{PLAIN}", {}),
        (f"sep=;\n{wide(';')}", {}),
        (f'"sep=;"\r\n{wide(";")}', {}),
        (wide("::"), {"separator": "::"}),
        (wide("\t"), {"separator": "\t"}),
        (wide(", "), {}),
        ("\n".join(f'"{line.split(",")[0]}", {line.split(",")[1]}, "{line.split(",")[2]}"' for line in LINES), {}),
        ("\n".join(f"{line}," for line in LINES), {}),
        ("\n".join([LINES[0], *(f"{line}," for line in LINES[1:])]), {}),
        ("\n".join(f"{n or ''},{line}" for n, line in enumerate(LINES)), {}),
        ("\n".join(f"{line},x,y" if n else f"{line},note,note" for n, line in enumerate(LINES)), {}),
        (f'{LINES[0]},"long\nname"\n' + "\n".join(f"{line},1" for line in LINES[1:]), {}),
        ("\n".join([*LINES[:5], LINES[0], *LINES[5:]]), {}),
        ("\n".join([*LINES[:5], '"id","title","price"', *LINES[5:]]), {}),
        ("\n".join(LINES[1:]), {"header": NAMES}),
        (PLAIN, {"header": NAMES}),
        (PLAIN.replace("104,", f"\ufeff{LINES[0]}\n104,"), {}),
        (PLAIN.encode("utf-16"), {}),
        (PLAIN.encode("utf-16-le"), {"encoding": "utf-16-le"}),
        (PLAIN.replace("mug", "m\u00fcg").encode("utf-8-sig"), {}),
        ("\n".join([*LINES, "(10 rows affected)"]), {}),
    ],
    ids=[
        "blank lines", "CR", "CR LF", "comment on top", "titles on top", "header behind #", "sep=,", "sep=;", "sep in quotes", "::", "tabs",
        "space after the separator", "space before quotes, too",
        "a separator behind all lines", "a separator behind all rows", "row numbers", "a name twice, unused",
        "a name of two lines", "header again", "header again in quotes", "no header",
        "header declared and there", "header again behind a mark",
        "UTF-16 with its mark",
        "UTF-16 without", "UTF-8 with a mark", "a footer",
    ],
)  # fmt: skip
def test_what_files_look_like_is_read_right(tmp_path: Path, content: str | bytes, said: dict[str, object]) -> None:
    text = content if isinstance(content, bytes) else content.encode()
    result, _ = read(tmp_path, text, table(**said))
    assert [[key, title.replace("\u00fc", "u"), price] for key, title, price in result] == ROWS


@pytest.mark.parametrize(
    ("content", "said", "rows"),
    [
        (write_csv(NAMES, QUOTED, Written(escape="\\")), {"escape": "\\"}, QUOTED),
        (write_csv(NAMES, QUOTED, Written(quote="'")), {"quote": "'"}, QUOTED),
        (write_csv(NAMES, QUOTED, Written(quote="", separator="\t")), {"quote": "", "separator": "\t"}, QUOTED),
        (PLAIN.replace("mug", '5" mug'), {}, [[key, title.replace("mug", '5" mug'), price] for key, title, price in ROWS]),
        (PLAIN.replace("mug", '"mug'), {"quote": ""}, [[key, title.replace("mug", '"mug'), price] for key, title, price in ROWS]),
        (PLAIN.replace(",mug 1,", ', "mug, 1" ,'), {}, [[key, title.replace("mug 1", "mug, 1"), price] for key, title, price in ROWS]),
        (PLAIN.replace("mug 1", r"C:\temp").replace("mug 2", r"\K"), {"escape": "\\"},
         [[key, title.replace("mug 1", r"C:\temp").replace("mug 2", r"\K"), price] for key, title, price in ROWS]),
        ('id,title,price\n1,"two\nlines",2\n', {}, [["1", "two\nlines", "2"]]),
    ],
    ids=["backslash", "single quotes", "quotes are text", "inches", "one quote is text", "spaces around quotes", "escapes of themselves",
         "lines in a value"],
)  # fmt: skip
def test_quotes_are_read_as_declared(tmp_path: Path, content: str, said: dict[str, object], rows: list[list[str]]) -> None:
    assert read(tmp_path, content.encode(), table(**said))[0] == rows


@pytest.mark.parametrize(
    ("content", "said", "message"),
    [
        (write_csv(NAMES, QUOTED, Written(escape="\\")), {}, r"line 2: .* where a quoted value ended; .*: give `escape: "),
        (write_csv(NAMES, [["1", '5"', "2"], ["2", '6"', "2"]], Written(escape="\\")), {}, r"line 2: .*: give `escape: "),
        (write_csv(NAMES, QUOTED, Written(quote="'")), {}, r"line 2: expected 3 values, .* got 4: .*: give `quote: \"'\"`"),
        (write_csv(NAMES, ROWS, Written(quote="'", always=True)), {}, r"its names stand in single quotes: give `quote: \"'\"`"),
        (re.sub("(mug .)", r"'\1'", PLAIN), {}, r"each value of column 'title' stands in ', such as \"'mug 0'\": give `quote: "),
        (PLAIN.replace("mug", '"mug'), {"separator": ","}, r"line 2: .*: give `quote: \"\"`, or correct the line"),
        (PLAIN.replace("mug 5", '"mug 5'), {}, r"line 7: .* never closed; "),
        (PLAIN.replace("mug", "m\0ug"), {}, r"line 2: expected text, met a zero byte in "),
        (PLAIN, {"encoding": "utf-16"}, r"can't be read as utf-16: .* BOM; give the file's `encoding`"),
        (PLAIN.encode("utf-16-be"), {}, r"met a zero byte beside each letter, as in UTF-16; give `encoding: utf-16-be`"),
        (PLAIN.replace("mug", "m\u00fcg").encode("latin-1"), {}, "line 2: expected UTF-8 in column 'title', got b'm"),
        (PLAIN.replace("mug", "m\u00fcg").encode(), {"encoding": "latin-1"}, "met UTF-8 .*; leave `encoding` out"),
        (PLAIN.replace("mug 3", "m\u0081g").encode("latin-1"), {"encoding": "cp1252"}, "line 5: can't be read as cp1252: b'.x81'"),
        (PLAIN.replace("id", "ID", 1), {}, r"expected a column 'id', which isn't there; did you mean 'ID'\?"),
        (PLAIN.replace("price", "title", 1), {}, r"expected a column 'price'|expected one column 'title', found 2; rename"),
        (wide(";"), {}, r"its columns are parted by ';': give `separator: \";\"`"),
        (wide(";"), {"separator": "|"}, r"its columns are parted by ';'"),
        (f"sep=;\n{wide(';')}", {"separator": "|"}, r"line 1: the file says that ';' parts its columns, and the dataset file says '\|'"),
        ("\n".join(LINES[1:]), {}, "its first line is '100,mug 0,0.5': if that is a row"),
        (wide(",,"), {"header": NAMES}, r"line 1: expected 3 values, as `header` has names, got 5: 'id,,title,,price'"),
        ("\n".join([*LINES[:5], "price,id,title", *LINES[5:]]), {}, "line 6: met another header, 'price,id,title', below"),
        ("\n".join([LINES[0], *(f"{line},x" for line in LINES[1:])]), {}, "line 2: .* 3 values, .* got 4: .*; name every column"),
        (b"PAR1" + PLAIN.encode(), {}, r"met a Parquet file; give `format: parquet`"),
        (b"PK\x03\x04" + PLAIN.encode(), {}, r"t.csv: can't be read: File is not a zip file"),
        ('{"id": 1, "title": "mug"}\n', {}, r"expected CSV, met JSON: .*; give `format: jsonl`"),
    ],
)  # fmt: skip
def test_what_can_not_be_read_right_is_an_error_with_line_and_remedy(
    tmp_path: Path, content: str | bytes, said: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path, content if isinstance(content, bytes) else content.encode(), table(**said))
    assert str(error.value).startswith(str(tmp_path / "t.csv"))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"encoding": "latin-17"}, "unknown encoding 'latin-17'"),
        ({"encoding": "base64"}, "unknown encoding 'base64'"),
        ({"quote": "'", "escape": "'"}, "`quote` and `escape` are both"),
        ({"separator": "|", "quote": "|"}, "`quote` and `separator` share '|'"),
        ({"separator": "a\n"}, "`separator` can't hold a line end"),
        ({"format": "parquet", "header": NAMES}, "`header` names the columns of CSV files, and `format` is 'parquet'"),
        ({"fill_down": {"within": "id", "columns": ["id"]}}, "`within` is 'id', which `columns` fills"),
    ],
)
def test_a_dialect_that_can_not_be_is_a_fault_of_the_dataset_file(said: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("|", "[|]")):
        table(**said)


def test_an_archive_of_several_files_is_an_error(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name in ("a.csv", "b.csv"):
            archive.writestr(name, PLAIN)
    with pytest.raises(InputError, match=r"expected a zip archive of one file, met one of 2; unpack it"):
        read(tmp_path, sink.getvalue(), table())


@pytest.mark.parametrize("chunk", [20, 64 << 20])
def test_a_row_is_told_by_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """The header is on line 1 of an editor, so a row's place is its line less 2: 3, 5, 6 and 10."""
    monkeypatch.setattr(readers, "CHUNK_BYTES", chunk)
    path = tmp_path / "t.csv"
    path.write_text('id,title,price\n\n1,a,1\n\n2,"b\r\n",1\n3,"c\n\n\n",1\n4,d,1')
    parts = list(frames(Block(0, 0, str(path), 0, 0), table(), tuple(NAMES), Counts()))
    assert pl.concat(parts)[ROW].to_list() == [1, 3, 5, 9]
