"""docs/reference/dataset-file.md says what the models say: every key, its default, its meaning; its shop loads."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.contract.columns import columns
from components.contract.dataset import Dataset
from components.contract.errors import DatasetFileError
from components.contract.json_schema import json_schema
from components.contract.load import parse_dataset
from components.contract.slices import bands, item_slices
from components.contract.sources import Files, TimeNotation

DOC = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "dataset-file.md").read_text()
SHOP = re.findall(r"```yaml\n(.*?)```", DOC, flags=re.DOTALL)[0]

OF_FEATURES = ("kind", "name", "side", "column", "source")
OF_FILES = (*Files.model_fields, *TimeNotation.model_fields)
SECTIONS = {
    "Dataset": "## The file",
    "FillDown": "### `fill_down`: values on the first line only",
    "Table": "## Tables: `items` and `users`",
    "EventSource": "## Events",
    "Identities": "## Identities",
    "Columns": "### `columns`: the roles",
    "Action": "## Actions",
    "Impressions": "### `from: impressions`",
    "ListRows": "### `from: list`",
    "Sampling": "### `from: sampling`",
    "Rows": "### `from: rows`",
    "Windows": "## Windows",
    "Id": "### `kind: id`",
    "Category": "### `kind: category`",
    "Number": "### `kind: number`",
    "Text": "### `kind: text`",
    "Multi": "### `kind: multi`",
    "Vector": "### `kind: vector`",
    "ListRelative": "### `kind: list`",
    "History": "### `kind: history`",
    "StateFeature": "### `kind: state`",
    "Gates": "## Gates",
    "Drift": "## Drift",
    "Serving": "## Serving",
    "Tuning": "## Tuning",
    "Range": "### Ranges",
}


def section(title: str) -> str:
    _, found, rest = DOC.partition(f"\n{title}\n")
    assert found, title
    return re.split(r"\n##+ ", rest)[0]


def test_every_mapping_of_the_file_has_its_section() -> None:
    assert set(SECTIONS) == {"Dataset", *json_schema()["$defs"]}


@pytest.mark.parametrize("model", SECTIONS)
def test_a_section_lists_the_keys_with_default_and_meaning(model: str) -> None:
    schema = json_schema()
    part = schema if model == "Dataset" else schema["$defs"][model]
    shared = OF_FEATURES if "kind" in part["properties"] else OF_FILES if "path" in part["properties"] else ()
    assert table(SECTIONS[model]) == rows(part, *(key for key in part["properties"] if key not in shared))


def test_what_all_kinds_and_all_files_share_is_listed_once() -> None:
    definitions = json_schema()["$defs"]
    assert table("### Every kind") == rows(definitions["Id"], *OF_FEATURES[1:])
    assert table("## Files") == rows(definitions["Table"], *OF_FILES)


def rows(part: dict[str, Any], *keys: str) -> list[tuple[str, ...]]:
    found = []
    for key in keys:
        value = part["properties"][key]
        default = value.get("default")
        shown = "required" if key in part.get("required", []) else f"`{json.dumps(default)}`"
        whole = key in ("windows", "gates", "drift", "serving") or default is None
        told = "" if whole and shown != "required" else shown
        # A bar within a cell is written with a backslash.
        found.append(tuple(cell.replace("|", "\\|") for cell in (f"`{key}`", told, value["description"])))
    return found


def table(title: str) -> list[tuple[str, ...]]:
    """Key, default and meaning of each row of the table of a section; its column of types is left out."""
    lines = section(title).partition("<!-- generated")[2].partition("<!-- end -->")[0].splitlines()
    cells = [re.split(r"(?<!\\) \| ", line.removeprefix("| ").removesuffix(" |")) for line in lines if line.startswith("| `")]
    return [(key, default, meaning) for key, _, default, meaning in cells]


def test_the_shop_of_the_page_loads() -> None:
    dataset = parse_dataset(SHOP)
    assert [source.action for source in dataset.events] == ["impression", "purchase"]
    assert {feature.kind for feature in dataset.features} == {"id", "category", "number", "text", "multi", "list", "history", "state"}


def test_the_errors_of_the_page_are_those_of_its_shop() -> None:
    with pytest.raises(DatasetFileError) as keys:
        parse_dataset(SHOP.replace("{label: 1}", "{lable: 1}"), "mug_shop.yaml")
    with pytest.raises(DatasetFileError) as rules:
        parse_dataset(SHOP.replace("of: price", "of: prize"), "mug_shop.yaml")
    shown = [line.strip() for line in DOC.splitlines() if line.startswith("    mug_shop.yaml, ")]
    assert shown == [str(keys.value), str(rules.value)]


def test_the_columns_of_each_kind_are_as_the_page_says() -> None:
    kinds = {
        row[0].strip(" `"): row
        for row in (line.strip("|").split("|") for line in section("## Features").splitlines() if line.startswith("| `"))
    }
    assert {name.split("`")[0] for name in kinds} == {
        feature["properties"]["kind"]["const"] for feature in json_schema()["$defs"].values() if "kind" in feature["properties"]
    }
    found: dict[str, list[str]] = {}
    for column in columns(parse_dataset(SHOP)):
        found.setdefault(column.feature, []).append(f"{column.name} {column.dtype}")
    assert found["history"] == ["history_item string", "history_brand string", "history_action string", "history_age_s float32"]
    assert found["sales"] == ["sales_1h float32", "sales_1d float32", "sales_7d float32"]
    assert found["title"] == ["title string"]
    assert found["price"] == ["price float32"]
    assert "price_in_list" not in found


def test_the_page_names_what_is_needed_and_taken() -> None:
    for name in ("request", "time", "interactions", "label", "session", "n_candidates"):
        text = SHOP.replace("name: device,", f"name: {name}, column: device,").replace("slices: [device]", "")
        with pytest.raises(DatasetFileError, match=f"'{name}' is taken by ShelfRank itself"):
            parse_dataset(text)
        assert f"`{name}`" in section("## Features")


def test_the_slices_of_the_page_are_slices_of_its_shop() -> None:
    slices = "\n".join(line.strip() for line in section("### Slices").splitlines() if line.startswith("    "))
    shop = parse_dataset(SHOP.replace("slices: [device]", slices))
    assert item_slices(shop) == ("brand", "price", "sales_7d")
    assert bands(shop) == {"interactions": (1, 3, 10), "price": (5, 20), "sales_7d": (1,)}


def test_the_page_is_about_the_fields_of_the_dataset() -> None:
    assert set(yaml.safe_load(SHOP)) <= set(Dataset.model_fields)
