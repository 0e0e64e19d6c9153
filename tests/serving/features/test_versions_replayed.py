"""Products and shoppers that change with time, and devices of accounts: what the service sends is what ingestion wrote, bit for bit."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from components.contract.columns import input_columns
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.state.artifact import to_table
from serving.features.build_tensors import RequestFeatures
from serving.features.catalogue import Catalogue, load_catalogue
from serving.features.events import Changes, ImpressionList, Interaction
from serving.features.request import Request
from serving.service.page.products import Products
from serving.sources.contents import contents_at
from serving.sources.file import parse_sources
from serving.state import snapshot
from serving.state.interface import plans_of
from serving.state.memory import MemoryStates
from tests.components.ingest.generators.changing_shop import Row, Tables, by_days, on_devices, random_tables, shop_text, write_shop
from tests.components.ingest.generators.random_shops import (
    DAY_US,
    SECOND,
    SHOPS,
    START_US,
    Event,
    Shop,
    by_example,
    everything,
    ingested,
    parsed,
)
from tests.serving.features.test_replayed_random_logs import inputs_of, plain, random_log, told_apart


@pytest.mark.parametrize("segment", [(), ("country", "device")])
@pytest.mark.parametrize("name", ["impressions", "impressions, strict", "list", "sampling"])
def test_every_input_is_what_ingestion_wrote(name: str, segment: tuple[str, ...], tmp_path: Path) -> None:
    shop, tables = by_days(SHOPS[name]), random_tables(3)
    text = shop_text(shop, **({"serving": {"segment": list(segment)}} if segment else {}))
    dataset = parsed(text)
    log = told_apart(on_devices(random_log(shop, 5), 5))
    write_shop(tmp_path, log, tables, files=3)
    made = ingested(text, tmp_path, tmp_path / "out", partitions=2)
    catalogue = load_catalogue(tmp_path / "out" / "state", dataset)
    states = MemoryStates(plans_of(dataset), catalogue.codes)
    arrived = [event._replace(user=catalogue.second_ids.shopper(event.user, event.time_us)) for event in log]
    assert sum(before != after for before, after in zip(log, arrived, strict=True)) > 20
    examples = everything(made.examples)
    changes, features = Changes(dataset, catalogue), RequestFeatures(dataset, catalogue, states)
    found = by_example(inputs_of(shop, arrived, features, changes, states, catalogue.items.ids), examples)
    for key, (_, example) in examples.items():
        served = {column.name: plain(found[key].tensors[column.name]) for column in input_columns(dataset)}
        assert {name: str(values) for name, values in served.items()} == {name: str(example[name]) for name in served}
    prices = {
        price for _, example in examples.values() for item, price in zip(example["item"], example["cost"], strict=True) if item == "i0"
    }
    assert len(examples) > 20
    assert len(prices) > 3


LOG = [Event(START_US, "a", "i0", "impression", "r0"), Event(START_US + 1, "a", "i0", "click", "r0")]
SOON = START_US + 30 * DAY_US
TABLES = Tables(
    items=[
        Row("i0", SOON, ("hats", 3.0, [1.0, 2.0])),
        Row("i0", START_US, ("shoes", 1.5, None)),
        Row("i0", START_US + DAY_US, ("shoes", 2.0, None)),
        Row("i2", SOON, ("new", 9.0, None)),
    ],
    users=[Row("a", START_US, ("DE",)), Row("a", SOON, ("FR",)), Row("b", SOON, ("IT",))],
    devices=[Row("d1", START_US, ("a",)), Row("d1", SOON, ("b",)), Row("d2", SOON, ("a",))],
)


def test_the_segment_of_an_action_that_is_stamped_before_its_list_is_that_of_its_stamp(tmp_path: Path) -> None:
    """By hand: a lives in DE until 9 s and in FR from then on, is shown i0 at 10 s, and clicks it by a clock that says 8 s."""
    seconds = lambda n: START_US + n * SECOND  # noqa: E731
    text = shop_text(Shop(skew_s=4), serving={"segment": ["country"]})
    log = [Event(seconds(10), "a", "i0", "impression", "r0"), Event(seconds(8), "a", "i0", "click", "r0")]
    write_shop(tmp_path, log, TABLES._replace(users=[Row("a", START_US, ("DE",)), Row("a", seconds(9), ("FR",))]))
    ingested(text, tmp_path, tmp_path / "out")
    dataset = parsed(text)
    catalogue, plans = load_catalogue(tmp_path / "out" / "state", dataset), plans_of(dataset)
    states, changes = MemoryStates(plans, catalogue.codes), Changes(dataset, catalogue)
    who = {"shopper": "a", "request": "r0"}
    shown, click = (
        ImpressionList(items=["i0"], time_us=seconds(10), **who),
        Interaction(action="click", item="i0", time_us=seconds(8), **who),
    )
    for change in (changes.from_event(event, now_us=seconds(11)) for event in (shown, click)):
        assert change is not None
        assert states.record(change)
    served, saved = states.snapshot().items, snapshot.load(tmp_path / "out" / "state", plans, catalogue.codes).items
    assert served is not None
    assert saved is not None
    assert {"\x1fDE\x1fi0", "\x1fFR\x1fi0"} < set(saved.keys)
    assert to_table(served.state, served.keys, served.plan).equals(to_table(saved.state, saved.keys, saved.plan))


@pytest.fixture
def dataset() -> Dataset:
    return parsed(shop_text(Shop()))


@pytest.fixture
def catalogue(tmp_path: Path, dataset: Dataset) -> Catalogue:
    write_shop(tmp_path, LOG, TABLES)
    ingested(shop_text(Shop()), tmp_path, tmp_path / "out")
    return load_catalogue(tmp_path / "out" / "state", dataset)


@pytest.mark.parametrize(
    ("time_us", "cost", "category", "country"),
    [
        (START_US - 1, [np.nan, np.nan, np.nan], [b"", b"", b""], b""),
        (START_US, [1.5, np.nan, np.nan], [b"shoes", b"", b""], b"DE"),
        (SOON - 1, [2.0, np.nan, np.nan], [b"shoes", b"", b""], b"DE"),
        (SOON, [3.0, 9.0, np.nan], [b"hats", b"new", b""], b"FR"),  # rows that begin to hold after the data's end
    ],
)
def test_a_request_after_the_data_gets_what_holds_then(
    catalogue: Catalogue, dataset: Dataset, time_us: int, cost: list[float], category: list[bytes], country: bytes
) -> None:
    states = MemoryStates(plans_of(dataset), catalogue.codes)
    found = RequestFeatures(dataset, catalogue, states).inputs(Request(shopper="a", candidates=["i0", "i2", "?"], time_us=time_us))
    assert str(found.tensors["cost"][0].tolist()) == str(cost)
    assert found.tensors["category"][0].tolist() == category
    assert found.tensors["item"][0].tolist() == [b"i0", b"i2", b"?"]
    assert found.tensors["country"].tolist() == [country]


def test_whose_a_device_is_goes_by_the_moment_and_is_asked_once(catalogue: Catalogue) -> None:
    ids = catalogue.second_ids
    assert [ids.shopper("d1", moment) for moment in (START_US - 1, START_US, SOON - 1, SOON)] == ["d1", "a", "a", "b"]
    assert [ids.shopper(who, SOON) for who in ("a", "", "d3")] == ["a", "", "d3"]
    assert (ids.ids_of("a"), ids.ids_of("b"), ids.ids_of("c")) == (["d1", "d2"], ["d1"], [])


def test_the_values_of_all_products_are_those_of_the_moment(catalogue: Catalogue) -> None:
    items = catalogue.items
    assert items.ids == ["i0", "i2"]
    assert str(items.values(SOON - 1)["cost"].tolist()) == str([2.0, np.nan])
    assert items.values(SOON)["cost"].tolist() == [3.0, 9.0]
    assert items.period(START_US) < items.period(SOON - 1) < items.period(SOON)


def test_sources_and_page_see_the_values_of_the_moment(catalogue: Catalogue, dataset: Dataset) -> None:
    sources = parse_sources("sources: {same: {kind: category, feature: category}, near: {kind: similar}}", dataset)
    look = contents_at(sources, dataset, catalogue.items)
    before, after = look(SOON - 1), look(SOON)
    assert [before.with_value("category", value).tolist() for value in ("shoes", "hats", "new")] == [[0], [], []]
    assert [after.with_value("category", value).tolist() for value in ("shoes", "hats", "new")] == [[], [0], [1]]
    assert after.nearest(0, 5).tolist() == [1]
    assert look(SOON + 5) is after  # nothing begins in between
    products = Products(dataset, catalogue)
    assert [products.by_ids(["i0"], moment)[0].facts["cost"] for moment in (SOON - 1, SOON)] == ["2", "3"]
    drawn = [products.sample(5, seed=1, time_us=moment, text="HATS") for moment in (SOON - 1, SOON)]
    assert [[product.id for product in some] for some in drawn] == [[], ["i0"]]


def test_a_shopper_with_many_rows_is_offered_once(catalogue: Catalogue) -> None:
    assert catalogue.users.sample(10, np.random.default_rng(1)) == ["a", "b"]


def test_a_table_without_its_times_is_refused(tmp_path: Path, catalogue: Catalogue, dataset: Dataset) -> None:
    path = tmp_path / "out" / "state" / "catalogue" / "items.parquet"
    pl.read_parquet(path).drop("__from__").write_parquet(path)
    with pytest.raises(InputError, match="expected int64 in column '__from__', found nothing; use the dataset file that"):
        load_catalogue(tmp_path / "out" / "state", dataset)
