"""A path leads to the same values in JSON and in Parquet's structs, and the rows of a nested log are those of the flat one."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.contract.errors import InputError
from components.contract.load import parse_dataset
from components.ingest.counts import LINE, Counts
from components.ingest.formats import readers
from components.ingest.sources import files
from components.ingest.sources.blocks import ROW
from components.ingest.sources.files import layout
from components.validate import validate
from tests.components.ingest.generators.plain_shop import SHOP, requests, run_ingest, shop, write
from tests.components.ingest.generators.random_shops import blocks_of, everything, ingested
from tests.components.ingest.generators.raw_frames import column_of, read, rows_of
from tests.components.ingest.without_beam import NOW_US

Rows = list[dict[str, Any]]
FORMATS = ("jsonl", "parquet")


def nested(folder: Path, rows: Rows, ending: str, *, schema: pa.Schema | None = None, group_rows: int = 1000, name: str = "e") -> Path:
    path = folder / f"{name}.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, row_group_size=group_rows)
    else:
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


PARAMS: Rows = [
    {
        "params": [{"key": "page", "value": {"s": "/a", "i": None}}, {"key": "n", "value": {"s": None, "i": 5}}],
        "geo": {"city": {"name": "Oslo", "other": "-"}},
    },
    {"params": [{"key": "n", "value": {"s": None, "i": 6}}, {"key": "n", "value": {"s": None, "i": 7}}], "geo": {"city": None}},
    {"params": [], "geo": None},
    {"params": None, "geo": {"city": {"name": None, "other": "-"}}},
]
PATHS: dict[str, list[Any]] = {
    "geo.city.name": ["Oslo", None, None, None],
    "params[key=page].value.s": ["/a", None, None, None],
    "params[key=n].value.i": [5, 6, None, None],
    "params[key=absent].value.i": [None] * 4,
    "params[0].key": ["page", "n", None, None],
    "params[1].value.i": [5, 7, None, None],
    "params[2].key": [None] * 4,
    "params.key": [["page", "n"], ["n", "n"], [], None],
    "params.value.i": [[None, 5], [6, 7], [], None],
}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("path", PATHS)
def test_a_path_leads_to_its_values(tmp_path: Path, path: str, ending: str) -> None:
    result = nested(tmp_path, PARAMS, ending)
    if ending == "jsonl" and PATHS[path] == [None] * 4:
        with pytest.raises(InputError, match="which isn't there"):
            read(result, [path])
        return
    assert column_of(result, path) == PATHS[path]
    # Several paths that share a way are followed together.
    together = [path, "geo.city.other" if path == "geo.city.name" else "geo.city.name", "params[key=n].key"]
    assert rows_of(result, together)[1] == dict(zip(together, [PATHS[path][1], None, "n"], strict=True))


def test_a_map_of_parquet_is_as_an_object(tmp_path: Path) -> None:
    maps = pa.array([[("a", 1), ("b", 2)], [], None], pa.map_(pa.string(), pa.int64()))
    pq.write_table(pa.table({"m": maps, "l": [[{"m": 1}], [], None]}), tmp_path / "e.parquet")
    assert column_of(tmp_path / "e.parquet", "m.b") == [2, None, None]
    pq.write_table(pa.table({"m": pa.array([[(7, "x")]], pa.map_(pa.int64(), pa.string()))}), tmp_path / "e.parquet")
    assert column_of(tmp_path / "e.parquet", "m.7") == ["x"]
    assert column_of(tmp_path / "e.parquet", "m.other") == [None]


@pytest.mark.parametrize("ending", FORMATS)
def test_a_column_that_is_literally_called_so_is_meant_first(tmp_path: Path, ending: str) -> None:
    path = nested(tmp_path, [{"a.b": 7, "a": {"b": 1}, "price [EUR]": 5, "x[0]": "y"}], ending)
    assert rows_of(path, ["a.b", "price [EUR]", "x[0]"]) == [{"a.b": 7, "price [EUR]": 5, "x[0]": "y"}]


def test_a_match_may_be_escaped_or_a_number(tmp_path: Path) -> None:
    rows = [{"p": [{"k": "größe", "v": 1}, {"k": 12, "v": 2}, {"k": True, "v": 3}]}]
    path = write(tmp_path, "e.jsonl", json.dumps(rows[0], ensure_ascii=True))
    assert rows_of(path, ["p[k=größe].v", "p[k=12].v", "p[k=true].v"]) == [{"p[k=größe].v": 1, "p[k=12].v": 2, "p[k=true].v": 3}]


MISMATCHES: dict[str, tuple[str, str, str]] = {
    "text for an object": (
        '{"a": {"b": 1}}\n{"a": "n/a"}',
        "a.b",
        ", line 2: expected an object for 'a.b' in 'a', got n/a; correct the path, or",
    ),
    "text for an array": ('{"a": "n/a"}', "a[0]", ", line 1: expected an array for 'a[0]' in 'a', got n/a; correct the path, or the line"),
    "an object for an array": (
        '{"a": {"k": 1}}',
        "a[k=x].b",
        ", line 1: expected an array for 'a[k=x].b' in 'a', got {\"k\": 1}; correct the path",
    ),
    "objects and arrays": (
        '{"a": [{"b": 1}]}\n{"a": {"b": 1}}',
        "a.b",
        ", line 2: expected an array of objects, as in other lines, for 'a.b' in",
    ),
    "array within an array": (
        '{"a": [{"b": [{"c": 1}]}]}',
        "a.b.c",
        ", line 1: 'a.b.c' leads through an array within an array; unnest one of them",
    ),
    "a doubled key on the way": ('{"a": {"b": 1, "b": 2}}', "a.b", ", line 1: expected the key 'b' once in an object, got it twice"),
    "nowhere": ('{"a": {"bright": 1}}', "a.brigth", ": expected a column 'a.brigth', which isn't there; did you mean 'a.bright'?"),
    "no path": ('{"a": [{"b": 1}]}', "a[].b", ": expected a column 'a[].b', which isn't there, and as a path it can't be read: `[]` names"),
    "an object at the end": (
        '{"a": {"b": {"c": 1}}}',
        "a.b",
        ", line 1: column 'a.b' has an object: {\"c\": 1}; name what is meant within",
    ),
}


@pytest.mark.parametrize("kind", MISMATCHES)
def test_a_path_that_meets_another_structure_is_an_error(tmp_path: Path, kind: str) -> None:
    content, path, message = MISMATCHES[kind]
    file = write(tmp_path, "e.jsonl", content)
    with pytest.raises(InputError) as error:
        read(file, [path])
    assert str(error.value).startswith(f"{file}{message}")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("n.b", "expected an object with the member 'b' on the way of 'n.b', got int64; correct the path"),
        ("n[0]", "expected an array on the way of 'n[0]', got int64; correct the path"),
        (
            "a[k=x].b",
            "expected an array of objects with the member 'k' on the way of 'a[k=x].b', got struct<b: int64, c: list<element: struct<d",
        ),
        ("a.z", "expected a column 'a.z', which isn't there; did you mean 'a."),
        ("z.b", "expected a column 'z.b', which isn't there; did you mean 'a.b'?"),
        ("a.c.d", "'a.c.d' leads through an array within an array; unnest one of them"),
        ("a[].b", "expected a column 'a[].b', which isn't there, and as a path it can't be read: `[]` names no element of 'a'"),
        ("a", "expected text, numbers, times or lists of them in column 'a', got List(Struct("),
    ],
)
def test_a_path_that_meets_another_structure_of_parquet_is_an_error(tmp_path: Path, path: str, message: str) -> None:
    file = nested(tmp_path, [{"a": [{"b": 1, "c": [{"d": 1}]}], "n": 5}], "parquet")
    with pytest.raises(InputError) as error:
        read(file, [path])
    assert str(error.value).startswith(f"{file}: {message}")


ORDERS: Rows = [
    {"id": "o1", "lines": [{"sku": "a", "n": 1}, {"sku": "b", "n": None}]},
    {"id": "o2", "lines": []},
    {"id": "o3", "lines": None},
    {"id": "o4", "lines": [{"sku": "c", "n": 3}]},
]


@pytest.mark.parametrize("ending", FORMATS)
def test_elements_of_an_array_become_rows(tmp_path: Path, ending: str) -> None:
    counts = Counts()
    path = nested(tmp_path, ORDERS, ending)
    assert rows_of(path, ["id", "lines.#", "lines.n", "lines.sku", "lines[0].sku"], unnest="lines", counts=counts) == [
        {"id": "o1", "lines.#": 0, "lines.n": 1, "lines.sku": "a", "lines[0].sku": "a"},
        {"id": "o1", "lines.#": 1, "lines.n": None, "lines.sku": "b", "lines[0].sku": "a"},
        {"id": "o4", "lines.#": 0, "lines.n": 3, "lines.sku": "c", "lines[0].sku": "c"},
    ]
    assert counts.numbers == {"rows read": 2, "left out: rows whose array to unnest is empty": 2}
    (frame,) = read(path, ["id"], unnest="lines")
    assert frame[ROW].to_list() == [0, 1, 2]
    assert frame[LINE].to_list() == [0, 0, 3]


@pytest.mark.parametrize("ending", FORMATS)
def test_elements_may_be_plain_values_and_lie_deep(tmp_path: Path, ending: str) -> None:
    rows = [{"s": 1, "log": {"skus": ["a", "b", None]}}, {"s": 2, "log": {"skus": ["c"]}}, {"s": 3, "log": None}]
    path = nested(tmp_path, rows, ending)
    result = rows_of(path, ["s", "log.skus", "log.skus.#"], unnest="log.skus")
    assert [tuple(row.values()) for row in result] == [(1, "a", 0), (1, "b", 1), (1, None, 2), (2, "c", 0)]


@pytest.mark.parametrize("ending", FORMATS)
def test_an_array_that_is_none_or_nowhere_is_an_error(tmp_path: Path, ending: str) -> None:
    path = nested(tmp_path, [{"a": {"x": 1}, "b": [{"c": [1]}]}], ending)
    for unnest, column, message in (
        ("a", "a.x", "expected an array in 'a' (see `unnest`), got "),
        ("b.c", "b.c", "array"),
        ("d", "d.x", "expected a column 'd"),
        ("b", "b.z", "expected a column 'b.z', which isn't there; did you mean 'b.c'?"),
    ):
        with pytest.raises(InputError, match=r"e\.(jsonl|parquet)") as error:
            read(path, [column], unnest=unnest)
        assert message in str(error.value)


def test_a_file_of_empty_arrays_alone_is_no_error(tmp_path: Path) -> None:
    path = nested(tmp_path, [{"id": "o1", "lines": []}], "jsonl")
    assert rows_of(path, ["id", "lines.sku"], unnest="lines") == []


TEXT = """\
name: shop
events:
  path: FILE
  unnest: log
  columns: {time: log.at, user: user, item: log.product.sku, action: "log.params[key=kind].value", request: log.request}
  where: '"log.valid" = 1'
items: {path: items.csv, id: id}
users: {path: users.csv, id: id}
actions: {show: {}, click: {label: 1}}
candidates: {from: impressions, action: show}
features:
  - {name: page, kind: category, side: context, column: meta.page}
  - {name: age, kind: number, side: user}
  - {name: title, kind: text, side: item}
  - {name: price, kind: number, side: item, minimum: 0}
  - {name: shown_price, kind: number, side: item, source: events, column: log.product.price, minimum: 0}
"""


def as_sessions(rows: Rows, size: int) -> Rows:
    """Rows of one user and page as objects with at most `size` of them in an array; a third have no row."""
    sessions: Rows = []
    for row in rows:
        head = {"user": row["user"], "meta": {"page": row["page"]}}
        if not sessions or {name: sessions[-1][name] for name in head} != head or len(sessions[-1]["log"]) == size:
            sessions.append({**head, "log": []})
        sessions[-1]["log"].append(
            {
                "at": row["at"],
                "request": row["request"],
                "valid": row.get("valid", 1),
                "product": {"sku": row["item"], "price": None if row["shown_price"] is None else float(row["shown_price"])},
                "params": [{"key": "x", "value": "?"}, {"key": "kind", "value": row["action"]}],
            }
        )
    return [session for n, full in enumerate(sessions) for session in ([full, {**full, "log": []}] if n % 3 == 0 else [full])]


@pytest.mark.parametrize("ending", FORMATS)
def test_rows_from_arrays_give_the_examples_of_the_flat_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    """However the file is cut: positions in the log stay apart, and follow the log's order."""
    shop(tmp_path)
    expected = everything(run_ingest(tmp_path).made.examples)
    rows = requests()
    for row in rows[::7]:
        row["shown_price"] = "5.0"
    sessions = as_sessions([*rows, rows[0] | {"valid": 0}], 4)
    nested(tmp_path, sessions, ending, group_rows=2)
    text = TEXT.replace("FILE", f"e.{ending}")
    made = run_ingest(tmp_path, text)
    assert everything(made.made.examples) == expected
    empty = sum(not session["log"] for session in sessions)
    assert made.counts["rows read"] == 61 + empty
    assert (made.counts["rows kept"], made.counts["left out: by the condition `where`"]) == (60, 1)
    assert made.counts["left out: rows whose array to unnest is empty"] == empty
    monkeypatch.setattr(files, "BLOCK_ROWS", 2)
    monkeypatch.setattr(readers, "BLOCK_ROWS", 2)
    monkeypatch.setattr(readers, "CHUNK_BYTES", 100)
    blocks = layout(parse_dataset(text), str(tmp_path)).blocks
    assert len(blocks) == (1 if ending == "jsonl" else -(-len(sessions) // 2))
    cut = ingested(text, tmp_path, tmp_path / "cut", blocks=blocks)
    assert everything(cut.examples) == expected


@pytest.mark.parametrize("ending", FORMATS)
def test_samples_of_unnested_rows_name_the_object(tmp_path: Path, ending: str) -> None:
    shop(tmp_path)
    rows = requests()
    rows[10]["item"] = ""
    sessions = as_sessions([*rows, rows[-1]], 4)
    (at,) = [n for n, session in enumerate(sessions) if any(not event["product"]["sku"] for event in session["log"])]
    nested(tmp_path, sessions, ending, group_rows=3)
    text = TEXT.replace("FILE", f"e.{ending}")
    assert run_ingest(tmp_path, text).samples["no item"][0]["row"] == str(at)
    checks = {check.name: check for check in validate(parse_dataset(text), str(tmp_path), now_us=NOW_US)}
    index = f"line {at + 1}" if ending == "jsonl" else f"row {at}"
    assert checks["events have an item"].examples[0].startswith(f"{tmp_path}/e.{ending}, {index}: ")
    last = f"line {len(sessions)}" if ending == "jsonl" else f"row {len(sessions) - 1}"
    assert checks["exact duplicates (dropped)"].examples == (f"{tmp_path}/e.{ending}, {last}",)
    assert checks["left out: rows whose array to unnest is empty"].verdict == "PASS"


def test_blocks_of_parquet_have_numbers_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An array may have more elements than the file has rows."""
    shop(tmp_path)
    monkeypatch.setattr(files, "BLOCK_ROWS", 1)
    nested(tmp_path, as_sessions(requests(), 3), "parquet", group_rows=1)
    dataset = parse_dataset(TEXT.replace("FILE", "e.parquet"))
    numbers: list[int] = []
    for block in layout(dataset, str(tmp_path)).blocks:
        for frame in readers.frames(block, dataset.events[0], ("log.at",), Counts()):
            numbers += frame[ROW].to_list()
    assert len(numbers) == 60
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("ending", FORMATS)
def test_lists_of_candidates_may_be_arrays(tmp_path: Path, ending: str) -> None:
    """Strings or numbers, and by path those of an array of objects; a separator within an item parts nothing."""
    rows = [
        {
            "at": 1769904000 + 3600 * n,
            "user": f"u{n % 3}",
            "chosen": f"a|{n % 2}",
            "items": ["a|0", "a|1", "b"],
            "prices": [1.5, None, 2.0],
            "shown": [{"sku": "a|0", "price": 1.5}, {"sku": "a|1", "price": None}, {"sku": "b", "price": 2.0}],
        }
        for n in range(30)
    ]
    nested(tmp_path, rows, ending)
    text = """\
name: lists
events: {path: FILE, columns: {time: at, user: user, item: chosen}, action: search}
actions: {search: {label: 1}}
candidates: {from: list, action: search, items: items, columns: {price: prices}}
features:
  - {name: item, kind: id, side: item}
  - {name: price, kind: number, side: item, source: events}
""".replace("FILE", f"e.{ending}")
    expected: Any = None
    for shape in (text, text.replace("items: items", "items: shown.sku").replace("prices", "shown.price")):
        made = run_ingest(tmp_path, shape)
        assert made.samples == {}
        examples = [columns for split in made.made.examples.values() for columns in split.values()]
        assert len(examples) >= 28
        for columns in examples:
            assert columns["item"] == ["a|0", "a|1", "b"]
            assert str(columns["price"]) == "[1.5, nan, 2.0]"
            assert columns["label"] in ([1, 0, 0], [0, 1, 0])
        result = repr(sorted((columns["time"], columns["label"]) for columns in examples))
        assert expected in (None, result)
        expected = result


# Values that both formats can hold in one column.
NAMES = st.sampled_from(["a", "b", "ü", "x y"])
LEAVES = st.sampled_from(
    [st.integers(-(2**63), 2**63 - 1), st.sampled_from(["", "x", "108", "Größe"]), st.floats(-1e9, 1e9), st.booleans()]
)


@st.composite
def shapes(draw: st.DrawFn, depth: int = 3) -> tuple[st.SearchStrategy[Any], list[str]]:
    """A strategy of values of one type, and the paths that lead to values within them."""
    kind = draw(st.sampled_from(["leaf", "leaf", "object", "array", "objects"] if depth else ["leaf"]))
    if kind == "leaf":
        return st.one_of(st.none(), draw(LEAVES)), [""]
    if kind == "array":
        return st.one_of(st.none(), st.lists(draw(LEAVES), max_size=3)), ["", "[0]", "[2]"]
    members = {name: draw(shapes(depth - 1)) for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))}
    of_object = st.fixed_dictionaries({name: values for name, (values, _) in members.items()})
    inner = [f".{name}{path}" for name, (_, paths) in members.items() for path in paths]
    if kind == "object":
        return st.one_of(st.none(), of_object), inner
    key = next(iter(members))
    paths = [f"[{at}]{path}" for at in ("0", "1", f"{key}=108", f"{key}=x") for path in inner] + inner
    return st.one_of(st.none(), st.lists(of_object, max_size=3)), paths


@settings(deadline=None)
@given(data=st.data(), chunk=st.integers(1, 300), group_rows=st.integers(1, 4))
def test_json_and_parquet_agree_on_any_path(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, chunk: int, group_rows: int
) -> None:
    values, paths = data.draw(shapes())
    rows = data.draw(st.lists(st.fixed_dictionaries({"v": values, "n": st.integers(0, 9)}), min_size=1, max_size=6))
    wanted = [f"v{path}" for path in data.draw(st.lists(st.sampled_from(paths), min_size=1, max_size=4, unique=True))]
    folder = tmp_path_factory.mktemp("nested")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "CHUNK_BYTES", chunk)
        arrays = sorted({path.split("[")[0] for path in wanted if "[" in path})
        unnest = data.draw(st.sampled_from([None, *arrays]))
        if unnest is not None:  # what was an element's member is now the row's
            wanted = [path.split("[")[0] + path.partition("]")[2] for path in wanted]
        columns = sorted({*wanted, "n"})
        result = [rows_or_refusal(nested(folder, rows, ending, group_rows=group_rows), columns, unnest) for ending in FORMATS]
    json_rows, parquet_rows = result
    # A path that no row has, or a type that no value shows, is an error in one of them alone; values never differ.
    if json_rows is not None and parquet_rows is not None:
        assert json_rows == parquet_rows


def rows_or_refusal(path: Path, columns: list[str], unnest: str | None) -> Rows | None:
    """The rows of a file as plain values, None where it is refused by name."""
    try:
        return [{name: plain(value) for name, value in row.items()} for row in rows_of(path, columns, unnest=unnest)]
    except InputError as error:
        if not str(error).startswith(str(path)):
            raise
        return None


def plain(value: Any) -> Any:
    """What a column's value comes to in the end: text, "" where it is missing; whole floats as whole numbers."""
    if isinstance(value, list):
        return [plain(element) for element in value] or ""
    if value is None:
        return ""
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return str(value)


def test_every_row_group_may_be_a_block_of_its_own(tmp_path: Path) -> None:
    shop(tmp_path)
    expected = everything(run_ingest(tmp_path).made.examples)
    rows = [{"who": {"user": row["user"]}, **row} for row in requests()]
    nested(tmp_path, rows, "parquet", group_rows=7)
    text = SHOP.replace("events.csv", "e.parquet").replace("user: user", "user: who.user")
    assert everything(ingested(text, tmp_path, tmp_path / "o", blocks=blocks_of(text, tmp_path)).examples) == expected
