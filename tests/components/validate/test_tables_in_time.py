"""Tables that change with time, hold a property a row, or say whose an id is: what validate tells of them."""

from pathlib import Path

import pytest

from components.contract.load import parse_dataset
from components.validate import Check, validate
from tests.components.ingest.generators.plain_shop import SHOP, shop

NOW_US = 1_780_000_000_000_000  # 2026-05-28
PRICED = SHOP.replace("items: {path: items.csv, id: id}", "items: {path: prices.csv, id: id, valid_from: since}")
AGED = SHOP.replace("users: {path: users.csv, id: id}", "users: {path: users.csv, id: id, valid_from: since}")
LONG = SHOP.replace("items: {path: items.csv, id: id}", "items: {path: long.csv, id: id, property: name, value: value}")
DEVICES = SHOP.replace("actions: {show", "identities: {path: devices.csv, id: device, user: account}\nactions: {show")


def checks(folder: Path, text: str, **files: str) -> dict[str, Check]:
    shop(folder)
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content)
    return {check.name: check for check in validate(parse_dataset(text), str(folder), now_us=NOW_US)}


GOOD = "id,title,price,since\na,blue mug,5,2026-01-01\na,blue mug,7,2026-02-01T12:00:00\nb,red mug,6,2026-01-01\n"


def test_a_good_price_list_passes(tmp_path: Path) -> None:
    result = checks(tmp_path, PRICED, prices=GOOD)
    assert {check.verdict for check in result.values()} == {"PASS"}
    assert result["items: no id stands twice at one time (the last row counts)"].result == "none of 3 rows"
    assert result["items: have a row by the time of a request"].result == "none of 40 candidates"


def test_rows_without_a_time_are_found(tmp_path: Path) -> None:
    check = checks(tmp_path, PRICED, prices=GOOD + "b,red mug,9,\n")["items: rows have a time from which they hold"]
    assert (check.verdict, check.result) == ("FAIL", "1 of 4 rows (25 %)")
    assert check.examples == (f"{tmp_path}/prices.csv, line 5: id = b",)


def test_the_share_of_candidates_before_their_first_row_is_told(tmp_path: Path) -> None:
    """Twenty hourly requests with a and b; b has no row before 15:00."""
    late = GOOD.replace("b,red mug,6,2026-01-01", "b,red mug,6,2026-02-01T15:00:00")
    check = checks(tmp_path, PRICED, prices=late)["items: have a row by the time of a request"]
    assert (check.verdict, check.result) == ("WARN", "15 of 40 candidates (38 %)")
    assert check.examples[0] == f"{tmp_path}/events.csv, line 3: item = b"
    none = GOOD.replace("2026-01-01", "2026-03-01").replace("2026-02-01T12:00:00", "2026-03-02")
    assert checks(tmp_path, PRICED, prices=none)["items: have a row by the time of a request"].verdict == "FAIL"


def test_the_share_of_requests_before_their_shoppers_first_row_is_told(tmp_path: Path) -> None:
    users = "id,age,since\nu0,1,2026-02-01T06:00:00\nu1,2,2026-01-01\nu2,3,2026-01-01\n"
    check = checks(tmp_path, AGED, users=users)["users: have a row by the time of a request"]
    assert (check.verdict, check.result) == ("WARN", "2 of 20 requests (10 %)")


def test_ids_with_but_future_rows_are_found(tmp_path: Path) -> None:
    check = checks(tmp_path, PRICED, prices=GOOD + "c,mug,1,2027-01-01\n")["items: have a row that holds by now"]
    assert (check.verdict, check.result, check.examples) == ("WARN", "1 of 3 ids (33 %)", ("id = c",))


def test_an_id_that_stands_twice_at_one_time_is_found(tmp_path: Path) -> None:
    check = checks(tmp_path, PRICED, prices=GOOD + "a,blue mug,8,2026-01-01\n")[
        "items: no id stands twice at one time (the last row counts)"
    ]
    assert (check.result, check.examples) == ("1 of 4 rows (25 %)", (f"{tmp_path}/prices.csv, line 5: id = a",))


PROPERTIES = "id,name,value\na,title,blue mug\na,price,5\nb,title,red mug\nb,colour,red\nb,price,6\n"


def test_a_table_of_properties_passes(tmp_path: Path) -> None:
    result = checks(tmp_path, LONG, long=PROPERTIES)
    assert {check.verdict for check in result.values()} == {"PASS"}
    assert result["items: left out: rows of properties that no feature reads"].result == "1 of 5 rows"
    assert result["items: features with values"].result == "2 features; emptiest: title, 0 % missing"


def test_a_property_that_never_occurs_fails_and_names_the_closest(tmp_path: Path) -> None:
    check = checks(tmp_path, LONG, long=PROPERTIES.replace("price", "prize"))["items: can be read"]
    assert check.verdict == "FAIL"
    assert "expected rows of the property 'price' in column 'name', found none; did you mean 'prize'?" in check.examples[0]


def test_a_property_that_stands_twice_and_bad_values_are_found(tmp_path: Path) -> None:
    result = checks(tmp_path, LONG, long=PROPERTIES + "b,price,dear\n")
    check = result["items: no property of an id stands twice (the last row counts)"]
    assert (check.result, check.examples) == ("1 of 6 rows (17 %)", (f"{tmp_path}/long.csv, line 7: id = b, name = price",))
    assert result["items: numbers are numbers"].examples == (f"{tmp_path}/long.csv, line 7: value = dear",)


def test_devices_are_counted_and_their_accounts_are_the_users(tmp_path: Path) -> None:
    shop(tmp_path)
    events = (tmp_path / "events.csv").read_text().replace(",u1,", ",d1,")
    result = checks(tmp_path, DEVICES, devices="device,account\nd1,u1\n", events=events)
    assert result["identities: occur in the events"] == Check("identities: occur in the events", "PASS", "21 of 60 events (35 %)")
    assert result["users are in the users"].verdict == "PASS"
    assert {check.verdict for check in result.values()} == {"PASS"}


@pytest.mark.parametrize(
    ("rows", "name", "verdict", "result", "example"),
    [
        ("d1,u1\nd1,u2\n", "identities: no id has two users", "FAIL", "1 of 1 ids (100 %)", "device = d1: u1, u2"),
        ("d1,u1\n,u2\n", "identities: each has an id", "FAIL", "1 of 2 rows (50 %)", "devices.csv, line 3: account = u2"),
        ("d1,u1\nd2,\n", "identities: each has a user", "FAIL", "1 of 2 rows (50 %)", "devices.csv, line 3: device = d2"),
        (
            "d1,u1\nu1,u2\n",
            "identities: no user is a second id itself (one step is taken)",
            "WARN",
            "1 of 2 rows (50 %)",
            "d1 stands for u1, which stands for another",
        ),
        ("d1,u1\n", "identities: occur in the events", "WARN", "0 of 60 events (0 %)", ""),
    ],
)
def test_bad_tables_of_devices_are_found(tmp_path: Path, rows: str, name: str, verdict: str, result: str, example: str) -> None:
    check = checks(tmp_path, DEVICES, devices=f"device,account\n{rows}")[name]
    assert (check.verdict, check.result) == (verdict, result)
    assert example in "".join(check.examples)


def test_an_id_of_two_users_at_one_time_is_a_warning_where_rows_have_times(tmp_path: Path) -> None:
    text = DEVICES.replace("user: account}", "user: account, valid_from: at}")
    result = checks(tmp_path, text, devices="device,account,at\nd1,u1,2026-02-01\nd1,u2,2026-02-01\nd1,u0,2026-02-02\n")
    check = result["identities: no id has two users at one time (the last row counts)"]
    assert (check.verdict, check.examples) == ("WARN", ("device = d1: u1, u2",))
