"""JSON as logs have it: read right, or refused with file, line, what was met and what to do."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.contract.errors import InputError
from components.contract.load import parse_dataset
from components.ingest.formats import json_lines, readers
from components.ingest.sources.blocks import ROW
from components.ingest.sources.id_text import text_of
from components.validate import validate
from tests.components.ingest.generators.plain_shop import ITEMS, SHOP, requests, run_ingest, shop, write
from tests.components.ingest.generators.random_shops import everything
from tests.components.ingest.generators.raw_frames import column_of, read, rows_of
from tests.components.ingest.without_beam import NOW_US


def written(folder: Path, content: str | bytes) -> Path:
    return write(folder, "e.jsonl", content)


def refusal(folder: Path, content: str | bytes, column: str = "a") -> str:
    path = written(folder, content)
    with pytest.raises(InputError) as error:
        read(path, [column])
    assert str(error.value).startswith(str(path))
    return str(error.value).removeprefix(str(path))


LAYOUTS: dict[str, str] = {
    "JSON Lines": '{"a": 1, "b": "x"}\n{"a": 2}\n',
    "no end of the last line": '{"a": 1, "b": "x"}\n{"a": 2}',
    "blank lines": '\n{"a": 1, "b": "x"}\n\n   \n{"a": 2}\n\n',
    "CRLF": '{"a": 1, "b": "x"}\r\n\r\n{"a": 2}\r\n',
    "CR alone": '{"a": 1, "b": "x"}\r{"a": 2}\r',
    "byte-order mark": '\ufeff{"a": 1, "b": "x"}\n{"a": 2}\n',
    "over several lines": '{\n  "a": 1,\n  "b": "x"\n}\n{\n  "a": 2\n}\n',
    "tabs": '{\t"a"\t:\t1\t,\t"b":"x"\t}\t\n{"a":2}\n',
    "array": '[{"a": 1, "b": "x"}, {"a": 2}]',
    "array over several lines": '[\n  {\n    "a": 1,\n    "b": "x"\n  },\n  {\n    "a": 2\n  }\n]\n',
    "array with a byte-order mark": '\ufeff[{"a": 1, "b": "x"},\r\n{"a": 2}]\r\n',
    "an array a line": '[{"a": 1, "b": "x"}]\n[]\n[{"a": 2}]\n',
}


@pytest.mark.parametrize("chunk", [64 << 20, 40, 7, 1], ids=["whole", "in chunks", "in small chunks", "byte by byte"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_objects_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, chunk: int) -> None:
    monkeypatch.setattr(readers, "CHUNK_BYTES", chunk)
    path = written(tmp_path, LAYOUTS[layout])
    assert rows_of(path, ["a", "b"]) == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    assert [row for frame in read(path, ["a"]) for row in frame[ROW]] == [0, 1]


UNUSED: dict[str, list[str]] = {
    "number or bool": ["false", "5"],
    "number or list": ["[1, 2]", "5"],
    "object or list": ["[]", '{"w": 1}'],
    "object or text": ['"n/a"', '{"w": "1 kg"}'],
    "list or text": ['""', '["x", {"y": [null]}]'],
    "mixed within": ['{"w": "1 kg"}', '{"w": [1, {"v": true}]}'],
    "other keys": ['{"k0": 0}', '{"k1": {"k2": 1}}'],
    "empty objects": ["{}", "{}"],
    "NaN": ["NaN", "-Infinity"],
    "long integers": ["9223372036854775808", "-123456789012345678901234567890"],
    "quotes and braces in text": ['"}{][\\"\\\\"', '"\\\\"'],
    "deep": ["[" * 900 + "]" * 900, "{}"],
    "broken surrogates": ['"\\ud83d"', '"\\u00"'],
    "words": ["None", "undefined"],
}


@pytest.mark.parametrize("kind", UNUSED)
def test_a_column_that_is_not_used_may_hold_anything(tmp_path: Path, kind: str) -> None:
    rows = [f'{{"a": {n}, "unused": {UNUSED[kind][n % 2]}, "b": "x{n}"}}' for n in range(10)]
    expected = [{"a": n, "b": f"x{n}"} for n in range(10)]
    assert rows_of(written(tmp_path, "\n".join(rows)), ["a", "b"]) == expected
    doubled = [row.replace("}", ', "unused": 7}') if "{" not in row[1:] else row for row in rows]
    assert rows_of(written(tmp_path, "\n".join(doubled)), ["a", "b"]) == expected


def test_a_column_that_is_not_used_may_be_in_another_encoding(tmp_path: Path) -> None:
    assert column_of(written(tmp_path, '{"a": 1, "city": "Zürich"}\n'.encode("latin-1")), "a") == [1]


VALUES: dict[str, tuple[list[str], pl.DataType, list[Any]]] = {
    "integers": (["1", "-20", "null", "9007199254740993"], pl.Int64(), [1, -20, None, 9007199254740993]),
    "64 bits": (["9223372036854775807", "-9223372036854775808"], pl.Int64(), [2**63 - 1, -(2**63)]),
    "more than 64 bits": (["9223372036854775808", "1"], pl.String(), ["9223372036854775808", "1"]),
    "snowflakes and text": (['"1765432109876543211"', "1765432109876543212"], pl.String(), ["1765432109876543211", "1765432109876543212"]),
    "beside a float": (["9007199254740993", "0.5"], pl.String(), ["9007199254740993", "0.5"]),
    "floats": (["1.5", "2", "-1e3", "NaN"], pl.Float64(), [1.5, 2.0, -1000.0, None]),
    "more digits than a float has": (["0.1234567890123456789", "2"], pl.String(), ["0.1234567890123456789", "2"]),
    "infinite": (["Infinity", "-Infinity", "1"], pl.Float64(), [float("inf"), float("-inf"), 1.0]),
    "booleans": (["true", "false", "null"], pl.Boolean(), [True, False, None]),
    "numbers and text": (["108", '"108"', "108.0", '"0108"', "1.5"], pl.String(), ["108", "108", "108", "0108", "1.5"]),
    "booleans and text": (["true", '"no"'], pl.String(), ["true", "no"]),
    "escapes": (['"\\u00fc\\n\\"\\\\\\/\\t"', '"\\ud83d\\ude00"', '"ü😀"'], pl.String(), ['ü\n"\\/\t', "😀", "ü😀"]),
    "nothing": (["null", "{}", "[]", "NaN"], pl.Null(), [None] * 4),
    "nothing beside text": (['""', "{}", "[]", '"x"'], pl.String(), ["", None, None, "x"]),
    "lists": (["[1, 2]", "[]", "null", "[ 3 , null ]"], pl.List(pl.Int64()), [[1, 2], [], None, [3, None]]),
    "lists of text": (['["a", "b|c"]', '["\\u00fc"]', '"single"', '""'], pl.List(pl.String()), [["a", "b|c"], ["ü"], ["single"], None]),
    "lists of both": (['["a", 1.0]', "[2]"], pl.List(pl.String()), [["a", "1"], ["2"]]),
}


@pytest.mark.parametrize("kind", VALUES)
def test_a_column_has_the_values_as_they_are_written(tmp_path: Path, kind: str) -> None:
    texts, dtype, values = VALUES[kind]
    (frame,) = read(written(tmp_path, "".join(f'{{"a": {text}}}\n' for text in texts)), ["a"])
    assert frame["a"].dtype == (pl.String if dtype == pl.Null else dtype)
    assert frame["a"].to_list() == values


def test_ids_are_the_same_text_whatever_stands_beside_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk of numbers alone and one with text among them have the same ids."""
    ids = ["7", "7.0", "70e-1", '"7"', "9007199254740993", '"9007199254740993"', "1.25", '"1.25"']
    path = written(tmp_path, "".join(f'{{"a": {text}}}\n' for text in ids))
    result = {}
    for chunk in (1, 64 << 20):
        monkeypatch.setattr(readers, "CHUNK_BYTES", chunk)
        result[chunk] = [text for frame in read(path, ["a"]) for text in text_of(frame["a"])]
    assert result[1] == result[64 << 20] == ["7"] * 4 + ["9007199254740993"] * 2 + ["1.25"] * 2


def test_lists_of_numbers_are_the_same_texts_whatever_stands_beside_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, '{"a": [1, 2]}\n{"a": [1.0, null, 2.5]}\n{"a": ["1"]}\n{"a": []}\n')
    for chunk in (1, 64 << 20):
        monkeypatch.setattr(readers, "CHUNK_BYTES", chunk)
        texts = [text for frame in read(path, ["a"]) for text in text_of(frame["a"], separator="|")]
        assert texts == ["1|2", "1|2.5", "1", ""]


FAULTS: dict[str, tuple[str | bytes, str]] = {
    "doubled key": ('{"a": 1}\n{"a": 1, "b": 2, "a": 3}', ", line 2: expected the key 'a' once in an object, got it twice; keep the one"),
    "doubled by an escape": ('{"a": 1, "\\u0061": 1}', ", line 1: expected the key 'a' once in an object, got it twice"),
    "word": (
        '{"a": 1}\n\n{"a": None}',
        ", line 3: expected a JSON value for 'a', got 'None'; write null where there is none, and text within",
    ),
    "leading zero": ('{"a": 007}', ", line 1: expected a JSON value for 'a', got '007'; write null where there is none"),
    "word in a list": ('{"a": [1, nil]}', ", line 1: expected a JSON value for 'a', got 'nil'"),
    "half a character": ('{"a": "\\ud83d"}', ", line 1: the text of 'a' has half of a surrogate pair, which is no character; take it out"),
    "half a character in a list": ('{"a": ["x", "\\udc00"]}', ", line 1: the text of 'a' has half of a surrogate pair"),
    "wrong escape": (
        '{"a": "C:\\dir"}',
        ", line 1: the text of 'a' has a backslash before a character that JSON doesn't escape; write it twice",
    ),
    "latin-1": (
        '{"a": "ok"}\n{"a": "Grüße"}'.encode("latin-1"),
        ", line 2: the text of 'a' isn't UTF-8: 'Gr��e'; give the file's `encoding`",
    ),
    "Parquet": (b"PAR1\x15", ": expected text, met a Parquet file; give `format: parquet`"),
    "CSV": (
        "a,b\n1,2\n",
        ", line 1: expected one JSON object, got 'a,b'; is it a file of JSON objects, as its `format` or its ending says?",
    ),
    "single quotes": ("{'a': 1}", ", line 1: expected one JSON object, got \"{'a': 1}\"; correct the line, or take it out"),
    "cut off": (
        '{"a": 1}\n{"a": 2, "b": "x',
        ', line 2: expected one JSON object, got \'{"a": 2, "b": "x\', where the file ends; is the file',
    ),
    "cut off in a number": (
        '{"a": 1}\n{"a": 2',
        ", line 2: expected one JSON object, got '{\"a\": 2', where the file ends; is the file whole?",
    ),
    "array cut off": ('[{"a": 1},\n{"a": 2}', ", line 2: expected ] at the end of the file's array, got nothing; is the file whole?"),
    "array of others": ('[{"a": 1},\n5]', ", line 2: expected one JSON object, got '5]'; correct the line, or take it out"),
    "two in a line": ('{"a": 1}\n{"a": 2} {"a": 3}', ', line 2: expected one JSON object, got \'{"a": 2} {"a": 3}\'; correct the line'),
    "open object": (
        '{"a": 1}\n{"a": 2, "b": {"c": [1]\n{"a": 3}\n',
        ', line 2: expected one JSON object, got \'{"a": 2, "b": {"c": [1]\'; it goes on with \'{"a": 3}\' in line 3; correct the line',
    ),
    "open list": ('{"a": 1, "b": [1, 2}\n', ', line 1: expected one JSON object, got \'{"a": 1, "b": [1, 2}\'; correct the line'),
    "open text": ('{"a": 1, "b": "x}\n{"a": 2}\n', ', line 1: expected one JSON object, got \'{"a": 1, "b": "x}\'; correct the line'),
    "missing comma": ('{"a": 1 "b": 2}\n', ', line 1: expected one JSON object, got \'{"a": 1 "b": 2}\'; correct the line'),
    "missing colon": ('{"a" 1}\n', ", line 1: expected one JSON object, got '{\"a\" 1}'; correct the line"),
    "last comma": ('{"a": 1,}\n', ", line 1: expected one JSON object, got '{\"a\": 1,}'; correct the line"),
    "too deep": ('{"a": 1, "b": ' + "[" * 1001 + "]" * 1001 + "}", ", line 1: the object is nested more than 1,000 deep; flatten it, or"),
    "number and bool": ('{"a": 1}\n{"a": true}', ", line 2: column 'a' has true or false, and a number in line 1; keep to one type"),
    "number and list": ('{"a": [1]}\n{"a": 2}', ", line 2: column 'a' has a number, and a list in line 1; keep to one type"),
    "object": (
        '{"a": {"eur": 5}}',
        ", line 1: column 'a' has an object: {\"eur\": 5}; name what is meant within it by its path, such as a.KEY",
    ),
    "object in a list": (
        '{"a": [{"eur": 5}]}',
        ", line 1: column 'a' has an object in a list: {\"eur\": 5}; name what is meant within it by its",
    ),
    "list in a list": (
        '{"a": [[5]]}',
        ", line 1: column 'a' has a list in a list: [5]; name what is meant within it by its path, such as a.KEY",
    ),
}


@pytest.mark.parametrize("chunk", [64 << 20, 5], ids=["whole", "in chunks"])
@pytest.mark.parametrize("kind", FAULTS)
def test_what_cannot_be_read_is_told_with_its_line_and_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, chunk: int
) -> None:
    monkeypatch.setattr(readers, "CHUNK_BYTES", chunk)
    content, message = FAULTS[kind]
    # Of a line that lies in several chunks, what is left of it is shown.
    assert refusal(tmp_path, content).startswith(message if chunk > 5 else message.partition(", got ")[0])


def test_types_are_kept_to_through_all_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "CHUNK_BYTES", 20)
    content = "".join(f'{{"a": {n}}}\n' for n in range(30)) + '{"a": false}\n'
    assert refusal(tmp_path, content) == ", line 31: column 'a' has true or false, and a number in line 1; keep to one type"


def test_a_row_that_never_ends_does_not_take_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "CHUNK_BYTES", 100)
    monkeypatch.setattr(json_lines, "LONGEST_ROW", 1000)
    error = refusal(tmp_path, '{"a": 1}\n{"a": [' + "1, " * 2000 + "2]}\n")
    assert error.startswith(', line 2: expected a JSON object, got \'{"a": [1, 1,')
    assert error.endswith("which hasn't ended after 1,000 bytes; is a bracket of it closed?")


def test_samples_name_the_line_of_a_row_in_any_layout(tmp_path: Path) -> None:
    """Blank lines, and objects over several lines, move rows away from their numbers."""
    rows = requests()
    rows[4]["item"] = ""
    for content, line in (
        ("".join(f"{json.dumps(row)}\n\n" for row in rows), 9),
        (json.dumps(rows, indent=1), 2 + 4 * 9),
        ("".join(f"{json.dumps(row)}\n" for row in rows), 5),
    ):
        shop(tmp_path)
        write(tmp_path, "e.json", content)
        text = SHOP.replace("events.csv", "e.json")
        assert run_ingest(tmp_path, text).samples["no item"][0]["row"] == str(line - 1)
        examples = [
            check.examples for check in validate(parse_dataset(text), str(tmp_path), now_us=NOW_US) if check.name == "events have an item"
        ]
        assert examples[0][0].startswith(f"{tmp_path / 'e.json'}, line {line}: ")


def test_duplicates_are_shown_with_their_lines(tmp_path: Path) -> None:
    rows = [*requests(), requests()[7]]
    shop(tmp_path)
    write(tmp_path, "e.json", json.dumps(rows, indent=1))
    result = validate(parse_dataset(SHOP.replace("events.csv", "e.json")), str(tmp_path), now_us=NOW_US)
    (check,) = [check for check in result if any(f"line {2 + 60 * 9:,}" in example for example in check.examples)]
    assert (check.name, check.verdict) == ("exact duplicates (dropped)", "WARN")


def test_a_catalogue_as_an_array_is_a_catalogue(tmp_path: Path) -> None:
    shop(tmp_path)
    expected = everything(run_ingest(tmp_path).made.examples)
    write(tmp_path, "items.json", json.dumps([{**row, "unused": [n, {"x": True}]} for n, row in enumerate(ITEMS)], indent=2))
    assert everything(run_ingest(tmp_path, SHOP.replace("items.csv", "items.json")).made.examples) == expected


SCALARS = st.one_of(
    st.none(), st.integers(-(10**25), 10**25), st.text('abü€😀"\\/{}[],:\n 0', max_size=8), st.floats(allow_nan=False, allow_infinity=False)
)


@settings(deadline=None)
@given(
    rows=st.lists(st.dictionaries(st.sampled_from(["a", "b", "ü", 'q"\\']), SCALARS, max_size=5), min_size=1, max_size=8),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
    array=st.booleans(),
    chunk=st.integers(5, 200),
)
def test_any_object_of_scalars_is_read_as_python_reads_it(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], ascii_only: bool, indent: int | None, array: bool, chunk: int
) -> None:
    folder = tmp_path_factory.mktemp("json")
    columns = sorted({key for row in rows for key in row})
    separator = ",\n" if array else "\n"
    body = separator.join(json.dumps(row, ensure_ascii=ascii_only, indent=indent) for row in rows)
    path = folder / "e.json"
    path.write_text(f"[{body}]" if array else body, encoding="utf-8", newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "CHUNK_BYTES", chunk)
        frames = read(path, columns)
    for column in columns:
        result = [text for frame in frames for text in text_of(frame[column])]
        assert result == [as_id(row.get(column)) for row in rows]
    assert not any(frame.is_empty() for frame in frames)


def as_id(value: Any) -> str:
    """Return a value as text: whole numbers digit for digit; blanks alone are a missing value."""
    if value is None or isinstance(value, str):
        return value if value and value.strip() else ""
    return str(value) if isinstance(value, int) else text_of(pl.Series([value], dtype=pl.Float64))[0]
