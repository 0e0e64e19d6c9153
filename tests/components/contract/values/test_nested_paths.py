"""What can be a path, and what a dataset file says of one that can't."""

import pytest

from components.contract.errors import DatasetFileError
from components.contract.load import parse_dataset
from components.contract.values.nested_paths import Element, Key, Match, Steps, below, path_fault, steps_of

PATHS: dict[str, Steps] = {
    "sku": (Key("sku"),),
    "geo.country": (Key("geo"), Key("country")),
    "at.$date.$numberLong": (Key("at"), Key("$date"), Key("$numberLong")),
    "images[0].url": (Key("images"), Element(0), Key("url")),
    "grid[1][20]": (Key("grid"), Element(1), Element(20)),
    "params[key=page_location].value.string_value": (Key("params"), Match("key", "page_location"), Key("value"), Key("string_value")),
    "a.b[host=www.shop.example].c": (Key("a"), Key("b"), Match("host", "www.shop.example"), Key("c")),
    "a[k=]": (Key("a"), Match("k", "")),
    "price [EUR]": (Key("price [EUR]"),),
    "price[EUR]": (Key("price[EUR]"),),
    "[0]": (Key("[0]"),),
    "a[0]b": (Key("a[0]b"),),
    "Größe.größte": (Key("Größe"), Key("größte")),
    "two words.third word": (Key("two words"), Key("third word")),
}


@pytest.mark.parametrize("text", PATHS)
def test_a_path_has_its_steps_and_other_brackets_belong_to_names(text: str) -> None:
    assert steps_of(text) == PATHS[text]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("lines[].sku", "`[]` names no element of 'lines'; write lines[0] for the first, or `unnest: lines` for a row of each"),
        ("a.lines[*].sku", "`[]` names no element of 'a.lines'; write a.lines[0] for the first, or `unnest: a.lines` for a row of each"),
        ("a[-1]", "elements are counted from the front, from [0] on"),
        ("a[0.b", "a bracket isn't closed; write a[0] for an element, a[key=NAME] for the one whose `key` is NAME"),
        ("a..b", "a name is missing beside a dot; write a.b for the member b of a"),
        (".a", "a name is missing beside a dot; write a.b for the member b of a"),
        ("a.", "a name is missing beside a dot; write a.b for the member b of a"),
    ],
)
def test_what_is_meant_as_a_path_and_is_none_is_told_with_what_to_write(text: str, fault: str) -> None:
    assert path_fault(text) == fault
    with pytest.raises(ValueError, match=r"write|counted"):
        steps_of(text)


def test_a_path_below_an_array_is_the_rest_of_it() -> None:
    assert below("events.aid", "events") == "aid"
    assert below("events", "events") == ""
    assert below("events.#", "events") == "#"
    assert below("eventsource.aid", "events") is None
    assert below("session", "events") is None


SHOP = """\
name: shop
events: {path: e.jsonl, columns: {time: at, user: user, item: item, action: action, request: request}}
items: {path: items.parquet, id: id}
actions: {impression: {}, click: {label: 1}}
candidates: {from: impressions}
features:
  - {name: item, kind: id, side: item}
  - {name: brand, kind: category, side: item, column: brand}
  - {name: page, kind: category, side: context, column: page}
"""


def faults(*changes: tuple[str, str]) -> list[str]:
    text = SHOP
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    with pytest.raises(DatasetFileError) as error:
        parse_dataset(text, "shop.yaml")
    return str(error.value).splitlines()


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("item: item,", 'item: "lines[].sku",', "line 2: events.columns.item: 'lines[].sku' is no path: `[]` names no element"),
        ("{path: e.jsonl,", '{path: e.jsonl, unnest: "a..b",', "line 2: events.unnest: 'a..b' is no path: a name is missing"),
        ("id: id}", 'id: "id[0"}', "line 3: items.id: 'id[0' is no path: a bracket isn't closed"),
        ("column: brand", 'column: "brand[-1]"', "line 8: features[1].column: 'brand[-1]' is no path: elements are counted"),
        ("column: page", "column: page.", "line 9: features[2].column: 'page.' is no path: a name is missing"),
        (
            "column: page",
            "column: pages.#",
            "line 9: features[2].column: 'pages.#' is the place in an array that becomes rows; say `unnest: p",
        ),
    ],
)
def test_a_path_that_is_none_is_a_fault_with_its_place(old: str, new: str, place: str) -> None:
    (fault,) = faults((old, new))
    assert fault.startswith(f"shop.yaml, {place}")


def test_paths_of_lists_of_candidates_are_checked() -> None:
    lists = ("{from: impressions}", '{from: list, action: click, items: "shown[]", columns: {price: "shown[].price"}}')
    assert [fault.split(" is no")[0] for fault in faults(lists, ("impression: {}, ", ""))] == [
        "shop.yaml, line 5: candidates.items: 'shown[]'",
        "shop.yaml, line 5: candidates.columns.price: 'shown[].price'",
    ]


def test_a_csv_file_has_columns_of_any_name_and_no_arrays() -> None:
    text = SHOP.replace("e.jsonl", "e.csv.gz").replace("item: item,", 'item: "items[]",').replace("column: page", "column: page.")
    assert parse_dataset(text).events[0].columns.item == "items[]"
    (fault,) = faults(("{path: e.jsonl,", "{path: e.CSV, unnest: lines,"))
    assert fault == "shop.yaml, line 2: events.unnest: a CSV file has no arrays; `unnest` is for JSON Lines and Parquet"
