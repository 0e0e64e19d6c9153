"""Tables that change with time: each request sees what held at its moment, and never what comes later."""

import tempfile
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.contract.errors import InputError
from components.ingest.counts import Counts
from components.ingest.tables.second_ids import read_identities, resolve_users
from tests.components.ingest.generators.changing_shop import (
    TABLES,
    Row,
    Tables,
    account,
    on_devices,
    random_tables,
    resolved_log,
    shop_text,
    values_at,
    write_shop,
    write_tables,
)
from tests.components.ingest.generators.plain_shop import SHOP, run_ingest
from tests.components.ingest.generators.plain_shop import shop as plain_shop
from tests.components.ingest.generators.random_shops import (
    DAY_US,
    SECOND,
    SHOPS,
    START_US,
    Columns,
    Event,
    Shop,
    blocks_of,
    dataset_text,
    events,
    everything,
    everything_or_nothing,
    ingested,
    parsed,
    write_log,
)
from tests.components.ingest.without_beam import digests

FORMS = ["impressions", "list", "sampling"]


def examples(shop: Shop, log: list[Event], tables: Tables, *, files: int = 1, partitions: int = 1) -> dict[tuple[str, str], Columns]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shop(folder, log, tables, files=files)
        result = everything_or_nothing(shop_text(shop), folder, folder / "out", partitions=partitions)
    return {key: columns for key, (_, columns) in result.items()}


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_request_sees_the_rows_that_held_at_its_moment(name: str, data: st.DataObject) -> None:
    shop = SHOPS[name]
    log, tables = on_devices(data.draw(events(shop)), data.draw(st.integers(0, 9))), data.draw(TABLES)
    files, partitions = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    for columns in examples(shop, log, tables, files=files, partitions=partitions).values():
        wanted = values_at(tables, columns)
        assert {column: str(columns[column]) for column in wanted} == {column: str(values) for column, values in wanted.items()}


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_example_changes_with_a_row_that_holds_after_it(name: str, data: st.DataObject) -> None:
    shop = SHOPS[name]
    log, tables, others = on_devices(data.draw(events(shop)), 1), data.draw(TABLES), data.draw(TABLES)
    moment = data.draw(st.sampled_from([event.time_us for event in log]))
    # Until the moment one table, after it another. Devices stay: theirs are events, and whose a later click is changes a label.
    later = Tables(
        *(
            [*(r for r in before if r.since_us <= moment), *(r for r in after if r.since_us > moment)]
            for before, after in zip(tables[:2], others, strict=False)
        ),
        tables.devices,
    )
    wanted = {key: columns for key, columns in examples(shop, log, tables).items() if columns["time"][0] <= moment}
    result = examples(shop, log, later)
    assert {key: str(result[key]) for key in wanted} == {key: str(columns) for key, columns in wanted.items()}


@pytest.mark.parametrize("name", ["impressions, strict", "list", "sampling by event"])
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_log_with_devices_is_the_log_with_their_accounts(name: str, data: st.DataObject) -> None:
    """Examples and state, file by file, are those of a log in which somebody has replaced the ids before."""
    shop = SHOPS[name]
    log, tables = (
        on_devices([*data.draw(events(shop)), Event(START_US, "a", "i0", "click", "r0", shown=(("i0", 1.0),))], 2),
        data.draw(TABLES),
    )
    text, plain = (
        dataset_text(shop),
        shop_text(shop, items={"path": "items.parquet", "id": "id"}, users={"path": "users.parquet", "id": "id"}),
    )
    with tempfile.TemporaryDirectory() as name:
        folder, by_hand = Path(name) / "devices", Path(name) / "accounts"
        write_shop(folder, log, tables)
        write_log(by_hand, resolved_log(log, tables))
        text = dataset_text(shop, windows=yaml.safe_load(plain)["windows"])
        made = ingested(plain, folder, folder / "out", partitions=2, blocks=blocks_of(plain, folder))
        wanted = ingested(text, by_hand, by_hand / "out", partitions=2, blocks=blocks_of(text, by_hand))
        states = [digests(out / "out" / "state") for out in (folder, by_hand)]
    assert str(everything(made.examples)) == str(everything(wanted.examples))
    assert states[0].pop("catalogue/identities.parquet")
    assert states[0] == states[1]
    moved = sum(account(tables, event.user, event.time_us) != event.user for event in log)
    assert made.counts.numbers.get("resolved: events of a second id", 0) <= len(log) * 4
    assert (moved == 0) or "resolved: events of a second id" in made.counts.numbers or "rejected: unknown action" in made.counts.numbers


PRICED = SHOP.replace("items: {path: items.csv, id: id}", "items: {path: 'prices-*.csv', id: id, valid_from: since}")


def test_two_price_lists_by_hand(tmp_path: Path) -> None:
    """Requests come hourly from midnight on; a costs 5 from 03:00 and 7 from 12:00 on, b 6 from 20:00 on. The newer list is read first."""
    plain_shop(tmp_path)
    new = "id,title,price,since\na,blue mug,7,2026-02-01T12:00:00\nb,red mug,6,2026-02-01T20:00:00\n"
    (tmp_path / "prices-1.csv").write_text(new)
    (tmp_path / "prices-2.csv").write_text("id,title,price,since\na,blue mug,5,2026-02-01T03:00:00\n")
    result = run_ingest(tmp_path, PRICED)
    prices = {int(name[1:]): columns["price"] for (_, name), (_, columns) in everything(result.made.examples).items()}
    assert all(str(price) == str(float("nan")) for at, (price, _) in prices.items() if at < 3)
    assert {at: price for at, (price, _) in prices.items() if at >= 3} == {at: 5.0 if at < 12 else 7.0 for at in prices if at >= 3}
    assert 11 in prices
    assert 12 in prices
    assert result.counts["items: rows kept"] == 3
    # Three requests before a's first row, twenty before b's.
    assert result.counts["kept with missing values: candidates before their item's first row in the catalogue"] == 23
    assert not any("catalogue lacks" in name for name in result.counts)


def test_users_before_their_first_row_are_counted_apart_from_strangers(tmp_path: Path) -> None:
    plain_shop(tmp_path)
    (tmp_path / "users.csv").write_text("id,age,since\nu0,20,2026-02-01T06:00:00\nu1,21,2026-01-01\n")
    result = run_ingest(tmp_path, SHOP.replace("users: {path: users.csv, id: id}", "users: {path: users.csv, id: id, valid_from: since}"))
    # u0 asks at 0, 3, 6, ...; u2 at 2, 5, ..., 17.
    assert result.counts["kept with missing values: requests of users before their first row in the users' table"] == 2
    assert result.counts["kept with missing values: requests of users that the users' table lacks"] == 6


def test_the_segment_of_an_event_is_the_one_of_its_moment(tmp_path: Path) -> None:
    """a moves from DE to FR between two clicks: each counts where a lived then."""
    shop = Shop()
    log = [
        Event(START_US, "a", "i0", "impression", "r0"),
        Event(START_US + SECOND, "a", "i0", "click", "r0"),
        Event(START_US + DAY_US, "a", "i0", "impression", "r1"),
        Event(START_US + DAY_US + SECOND, "a", "i0", "click", "r1"),
    ]
    tables = Tables(
        [Row("i0", START_US, ("shoes", 1.0, None))],
        [Row("a", START_US - 1, ("DE",)), Row("a", START_US + DAY_US, ("FR",))],
        [Row("d9", START_US, ("a",))],
    )
    write_shop(tmp_path, log, tables)
    text = shop_text(shop, serving={"segment": "country"})
    ingested(text, tmp_path, tmp_path / "out")
    keys = pl.read_parquet(tmp_path / "out" / "state" / "items" / "segments-*.parquet")["key"].to_list()
    assert sorted(keys) == ["\x1fDE\x1fi0", "\x1fFR\x1fi0"]


def devices(folder: Path, text: str, **changes: str) -> pl.DataFrame:
    (folder / "devices.csv").write_text(text)
    shop = dataset_text(Shop(), identities={"path": "devices.csv", "id": "device", "user": "account", **changes})
    table = parsed(shop).identities
    assert table is not None
    return read_identities(table, str(folder), Counts())


EVENTS = pl.DataFrame({"user": ["d1", "d1", "d2", "a", "", "d1"], "time": [9, 10, 10, 10, 10, 20]})


def test_a_device_stands_for_its_newest_account_and_only_from_then_on(tmp_path: Path) -> None:
    table = devices(tmp_path, "device,account,at\nd1,b,20\nd1,a,10\na,z,5\n", valid_from="at", time_unit="us")
    counts = Counts()
    # a is an account and stands under `device` as well: d1 becomes a, not z.
    assert resolve_users(EVENTS, table, counts)["user"].to_list() == ["d1", "a", "d2", "z", "", "b"]
    assert counts.numbers == {"resolved: events of a second id": 3}


def test_without_times_a_device_always_stands_for_its_account(tmp_path: Path) -> None:
    table = devices(tmp_path, "device,account\nd1,a\nd1,a\nd2,\n,b\n")
    assert resolve_users(EVENTS, table, Counts())["user"].to_list() == ["a", "a", "d2", "a", "", "a"]


def test_a_device_of_two_accounts_needs_times(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected one 'account' for each 'device', got 'a', 'b' for 'd1' \(1 such\)"):
        devices(tmp_path, "device,account\nd2,a\nd1,b\nd1,a\n")


def test_a_table_of_devices_is_read_anew_by_each_run(tmp_path: Path) -> None:
    """A process that ingests twice, after the table has changed, uses the second table the second time."""
    log = [Event(START_US, "d1", "i0", "impression", "r0"), Event(START_US + SECOND, "d1", "i0", "click", "r0")]
    tables = random_tables(1)
    users = []
    for who in ("a", "b"):
        write_shop(tmp_path, log, tables._replace(devices=[Row("d1", START_US, (who,))]))
        write_tables(tmp_path, tables._replace(devices=[Row("d1", START_US, (who,))]))
        made = ingested(shop_text(Shop()), tmp_path, tmp_path / f"out-{who}")
        users += [user for user, _ in everything(made.examples)]
    assert users == ["a", "b"]
