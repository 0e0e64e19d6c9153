"""What a dataset file can say wrong of tables in time, of properties and of second ids."""

import pytest

from components.contract.errors import DatasetFileError
from components.contract.load import parse_dataset

SHOP = """\
name: shop
events: {path: e.csv, columns: {time: t, user: u, item: i, action: a, request: r}}
items: {path: i.csv, id: id}
users: {path: u.csv, id: id}
actions: {impression: {}, click: {label: 1}}
candidates: {from: impressions}
features:
  - {name: price, kind: number, side: item}
  - {name: look, kind: vector, side: item, size: 2}
"""
ROWS = """\
name: rows
events: {path: e.csv, columns: {label: y, item: i, user: u}}
items: {path: i.csv, id: id, valid_from: since}
identities: {path: d.csv, id: device, user: account, valid_from: since}
actions: {click: {label: 1}}
candidates: {from: rows}
windows: {by: hash}
features:
  - {name: price, kind: number, side: item, source: items}
"""


def faults(text: str) -> str:
    with pytest.raises(DatasetFileError) as error:
        parse_dataset(text)
    return str(error.value)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ("property: name", "`property` and `value` go together"),
        ("value: v", "`property` and `value` go together"),
        ("number_prefix: n", "`number_prefix` goes with `property` and `value`; leave it out"),
        ("time_unit: s", "`time_unit` says how times are written, and no column holds any; give `valid_from`, or leave it out"),
        ("valid_from: s, timezone: Berlin", "unknown timezone 'Berlin'"),
        ("property: p, value: v", "features[1]: the items have a row for each property, whose values are text; a vector needs a column"),
    ],
)
def test_a_table_that_cant_be_is_refused(changed: str, fault: str) -> None:
    assert fault in faults(SHOP.replace("path: i.csv,", f"path: i.csv, {changed},"))


@pytest.mark.parametrize(
    ("identities", "fault"),
    [
        ("{path: d.csv, id: device}", "identities: `user` is missing"),
        ("{path: d.csv, id: device, user: device}", "`id` and `user` are both the column 'device'"),
        ("{path: d.csv, id: device, user: account, timezone: UTC}", "`timezone` says how times are written"),
    ],
)
def test_second_ids_that_cant_be_are_refused(identities: str, fault: str) -> None:
    assert fault in faults(f"{SHOP}identities: {identities}\n")


def test_what_holds_from_a_time_on_needs_the_events_time_and_second_ids_a_user() -> None:
    assert "items.valid_from: what held at a request's time can't be known without it; name the role 'time'" in faults(ROWS)
    assert "identities.valid_from: what held" in faults(ROWS)
    assert "identities: no source of events has the role 'user'" in faults(ROWS.replace(", user: u}", "}"))
    timed = parse_dataset(ROWS.replace("label: y,", "label: y, time: t,"))
    assert timed.items is not None
    assert timed.items.valid_from == "since"
