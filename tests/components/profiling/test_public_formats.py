"""Public data sets are recognised by name from rows in their layout, and their dataset files name the files that are there."""

import shutil
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
import yaml

from benchmarks.ingest.public_logs import WRITERS, World, ga4_rows, make_world, write_public
from components.contract.errors import InputError
from components.profiling.known.prepare import prepare
from components.profiling.known.public_formats import FORMATS, RecognisedFormat, dataset_file, recognise
from components.profiling.known.recognised_draft import recognised_draft
from components.profiling.samples.file_groups import FileGroup, grouped
from components.profiling.samples.file_sample import read_sample
from components.profiling.samples.sampled_rows import sampled_table
from tests.components.profiling.drafted import NOW_US

PREPARED = {known.name for known in FORMATS if known.raw_files}


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(visits=200)


def groups_of(paths: list[Path]) -> list[FileGroup]:
    return grouped([sampled_table(read_sample(str(path))) for path in paths], now_us=NOW_US)


def recognised(paths: list[Path]) -> RecognisedFormat:
    found = recognise(groups_of(paths))
    assert found is not None
    return found


def test_each_known_format_has_a_writer_and_a_dataset_file_of_its_name() -> None:
    names = {known.name for known in FORMATS}
    assert names == set(WRITERS)
    for known in FORMATS:
        file = dataset_file(known)
        dataset = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert dataset["name"] == known.name == file.stem
        events = dataset["events"] if isinstance(dataset["events"], list) else [dataset["events"]]
        tables = [dataset[table] for table in ("items", "users") if table in dataset]
        assert {source["path"] for source in (*events, *tables)} == {public.path for public in known.files}
    assert {path.stem for path in dataset_file(FORMATS[0]).parent.glob("*.yaml")} == names


def test_each_dataset_file_begins_with_what_it_cannot_say() -> None:
    for known in FORMATS:
        heading = dataset_file(known).read_text(encoding="utf-8").split("\nname:")[0]
        assert "What can't be said here:" in heading, known.name


@pytest.mark.parametrize("name", WRITERS)
def test_a_data_set_is_recognised_by_name(name: str, world: World, tmp_path: Path) -> None:
    paths = write_public(name, tmp_path / "published", world)
    found = recognised(paths)
    assert (found.format.name, found.raw) == (name, name in PREPARED)
    if found.raw:
        files = {path: [file for group in those for file in group.paths] for path, those in found.groups.items()}
        written = prepare(name, files, tmp_path / "prepared")
        found = recognised(written)
        assert (found.format.name, found.raw) == (name, False)
    text = recognised_draft(found, folder=str(tmp_path)).text
    drafted, own = yaml.safe_load(text), yaml.safe_load(dataset_file(found.format).read_text(encoding="utf-8"))
    assert drafted["features"] == own["features"]
    assert drafted["actions"] == own["actions"]
    for source in drafted["events"]:
        assert list(tmp_path.glob(source["path"])), source["path"]


def test_names_of_files_matter_only_where_their_rows_say_too_little(world: World, tmp_path: Path) -> None:
    paths = write_public("retailrocket", tmp_path, world)
    renamed = [path.rename(path.with_name(f"x{at}.csv")) for at, path in enumerate(paths)]
    found = recognised(renamed)
    assert found.format.name == "retailrocket"
    dataset = yaml.safe_load(recognised_draft(found, folder=str(tmp_path)).text)
    assert [source["path"] for source in dataset["events"]] == ["x1.csv"]


def test_the_comments_of_a_data_set_stay_where_its_files_are_as_published(world: World, tmp_path: Path) -> None:
    found = recognised(write_public("retailrocket", tmp_path / "logs", world))
    own = dataset_file(found.format).read_text(encoding="utf-8")
    text = recognised_draft(found, folder=str(tmp_path)).text
    assert text == own.replace("path: events.csv", "path: logs/events.csv").replace("path: item_", "path: logs/item_")


def test_a_table_that_is_not_there_takes_its_features_along(world: World, tmp_path: Path) -> None:
    paths = write_public("movielens_1m", tmp_path, world)
    without = [path for path in paths if path.name != "users.dat"]
    dataset = yaml.safe_load(recognised_draft(recognised(without), folder=str(tmp_path)).text)
    assert "users" not in dataset
    names = {feature["name"] for feature in dataset["features"]}
    assert {"gender", "age", "occupation"} & names == set()
    assert {"title", "genres", "user_likes"} <= names


def test_another_edition_has_other_names_of_columns(world: World, tmp_path: Path) -> None:
    (path,) = write_public("online_retail", tmp_path, world)
    text = path.read_text(encoding="latin-1")
    header = text.splitlines()[0].replace("InvoiceNo", "Invoice").replace("UnitPrice", "Price").replace("CustomerID", "Customer ID")
    path.write_text("\n".join([header, *text.splitlines()[1:]]) + "\n", encoding="latin-1")
    dataset = yaml.safe_load(recognised_draft(recognised([path]), folder=str(tmp_path)).text)
    bought, returned = dataset["events"]
    assert bought["columns"]["user"] == "Customer ID"
    assert bought["columns"]["request"] == "Invoice"
    assert 'AND "Customer ID" IS NOT NULL' in returned["where"]
    assert "CAST(Price AS DOUBLE) > 0" in bought["where"]


def test_an_encoding_is_the_one_of_the_files(world: World, tmp_path: Path) -> None:
    (path,) = write_public("online_retail", tmp_path, world)
    path.write_text(path.read_text(encoding="latin-1"), encoding="utf-8")
    dataset = yaml.safe_load(recognised_draft(recognised([path]), folder=str(tmp_path)).text)
    assert all("encoding" not in source for source in (*dataset["events"], dataset["items"]))


def test_an_export_to_parquet_is_the_same_data_set(world: World, tmp_path: Path) -> None:
    rows = list(ga4_rows(world))
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(tmp_path / "events_20191001.parquet")
    found = recognised([tmp_path / "events_20191001.parquet"])
    assert found.format.name == "ga4"


def test_files_of_no_data_set_are_none(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("at,who,what\n2026-01-01,a,b\n")
    assert recognise(groups_of([tmp_path / "log.csv"])) is None


def test_half_of_a_data_set_is_none(world: World, tmp_path: Path) -> None:
    paths = write_public("outbrain", tmp_path, world)
    assert recognise(groups_of([path for path in paths if path.name != "events.csv"])) is None


def test_a_prepared_list_holds_what_was_published(world: World, tmp_path: Path) -> None:
    write_public("mind", tmp_path, world)
    prepare("mind", {"behaviors.tsv": [str(tmp_path / "behaviors.tsv")], "news.tsv": [str(tmp_path / "news.tsv")]}, tmp_path / "out")
    shown = pl.read_parquet(tmp_path / "out" / "shown.parquet")
    visit = world.visits[7]
    rows = shown.filter(pl.col("impression_id") == str(visit.number + 1)).sort("position")
    assert rows["news_id"].to_list() == [f"N{item + 10000}" for item in visit.shown]
    assert rows["clicked"].to_list() == [int(item in visit.clicked) for item in visit.shown]
    assert rows["time"].unique().to_list() == [visit.at.replace(microsecond=0, tzinfo=None)]


def test_a_prepared_search_log_has_each_list_with_its_shopper_and_clicks(world: World, tmp_path: Path) -> None:
    (log,) = write_public("yandex", tmp_path, world)
    prepare("yandex", {"train": [str(log)]}, tmp_path / "out")
    shown, clicks = (pl.read_parquet(tmp_path / "out" / f"{name}.parquet") for name in ("shown", "clicks"))
    visit = world.visits[11]
    rows = shown.filter(pl.col("session") == str(visit.number)).sort("position")
    assert rows["url"].to_list() == [str(item + 5000) for item in visit.shown]
    assert rows["user"].unique().to_list() == [str(visit.user + 1)]
    taken = clicks.filter(pl.col("session") == str(visit.number))
    assert set(taken["url"]) == {str(item + 5000) for item in visit.clicked}
    assert taken["request"].unique().to_list() == rows["request"].unique().to_list()
    assert len(clicks) == sum(len(each.clicked) for each in world.visits)


def test_prepared_orders_of_a_shopper_lie_as_far_apart_as_published(world: World, tmp_path: Path) -> None:
    write_public("instacart", tmp_path, world)
    paths = {name: [str(tmp_path / name)] for name in ("orders.csv", "products.csv")}
    paths["order_products__*.csv"] = [str(tmp_path / f"order_products__{part}.csv") for part in ("prior", "train")]
    prepare("instacart", paths, tmp_path / "out")
    lines = pl.read_parquet(tmp_path / "out" / "lines.parquet")
    orders = pl.read_csv(tmp_path / "orders.csv", infer_schema=False)
    assert len(lines) == sum(len(visit.clicked) for visit in world.visits)
    user = str(world.visits[0].user + 1)
    days = lines.filter(pl.col("user_id") == user).unique("order_id").sort("time")["time"].dt.date().to_list()
    published = orders.filter(pl.col("user_id") == user).sort(pl.col("order_number").cast(pl.Int64))["days_since_prior_order"].to_list()
    assert [(later - earlier).days for earlier, later in pairwise(days)] == [int(float(passed)) for passed in published[1:]]


def test_what_cannot_be_prepared_is_an_input_error(world: World, tmp_path: Path) -> None:
    write_public("mind", tmp_path, world)
    shutil.copy(tmp_path / "news.tsv", tmp_path / "behaviors.tsv")
    paths = {name: [str(tmp_path / name)] for name in ("behaviors.tsv", "news.tsv")}
    with pytest.raises(InputError, match="can't prepare the files of mind"):
        prepare("mind", paths, tmp_path / "out")
