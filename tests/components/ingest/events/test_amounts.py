"""Amounts of events end up with their labels, and a return takes a label and its amounts back if it is known in time."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from components.contract.errors import InputError
from components.ingest.counts import Counts
from tests.components.ingest.generators.plain_shop import as_csv, write
from tests.components.ingest.generators.random_shops import Columns, ingested

FIRST_DAY = datetime(2026, 2, 1, tzinfo=UTC)  # train to the 10th, eval to the 15th, test to the 20th
SHOP: dict[str, Any] = {
    "name": "shop",
    "events": {
        "path": "events.csv",
        "columns": {
            "time": "at",
            "user": "user",
            "item": "item",
            "action": "action",
            "request": "request",
            "revenue": "paid",
            "quantity": "pieces",
            "margin": "earned",
        },
    },
    "actions": {
        "show": {},
        "click": {"label": 1},
        "purchase": {"label": 2, "amount": "revenue"},
        "return": {"takes_back": "purchase"},
    },
    "candidates": {"from": "impressions", "action": "show"},
    "attribution": "1d",
    "windows": {"eval": "2026-02-10", "test": "2026-02-15", "until": "2026-02-20", "gap": "1s"},
    "features": [
        {"name": "item", "kind": "id", "side": "item"},
        {"name": "history", "kind": "history", "side": "user", "length": 9, "actions": ["purchase", "return"], "fields": ["item"]},
        {"name": "returns", "kind": "state", "side": "item", "measure": "total", "action": "return"},
    ],
}


class Row(NamedTuple):
    """A row of the log; `day` from the first of February, with fractions."""

    day: float
    item: str
    action: str
    request: str = ""
    pieces: Any = ""
    paid: Any = ""
    earned: Any = ""
    user: str = "ann"


class Made(NamedTuple):
    """Examples by request, whatever their window, and counts."""

    examples: dict[str, Columns]
    counts: Counts

    def by_item(self, request: str, column: str) -> dict[str, float]:
        """Item to its value in a request."""
        columns = self.examples[request]
        return dict(zip(columns["item"], columns[column], strict=True))


def shown(day: float, request: str, items: str = "abc", user: str = "ann") -> list[Row]:
    return [Row(day, item, "show", request, user=user) for item in items]


def made(rows: list[Row], folder: Path, shop: dict[str, Any] = SHOP, *, partitions: int = 1) -> Made:
    """Ingest the rows, with a request in each window that is none of the test's."""
    others = [row for day in (0.0, 11.0, 19.0) for row in shown(day, f"other-{day:g}", user="zoe")]
    others += [Row(day, "z", "purchase", f"other-{day:g}", user="zoe") for day in (0.0, 0.1, 11.0, 11.1, 19.0, 19.1)]
    dated = [
        row._asdict()
        | {"at": (FIRST_DAY + timedelta(days=row.day)).isoformat()}
        | {"pieces": str(row.pieces), "paid": str(row.paid), "earned": str(row.earned)}
        for row in [*rows, *others]
    ]
    write(folder, "events.csv", as_csv(dated))
    result = ingested(yaml.safe_dump(shop), folder, folder / "out", partitions=partitions)
    examples = {request: columns for split in result.examples.values() for (_, request), columns in split.items()}
    return Made(examples, result.counts)


def test_a_candidate_has_the_sums_of_what_was_attributed_to_it(tmp_path: Path) -> None:
    rows = [
        *shown(1, "r1"),
        Row(1.1, "a", "purchase", "r1", pieces=2, paid=10, earned=3),
        Row(1.2, "a", "purchase", "r1", pieces=1, paid="5.5", earned=-4),
        Row(1.3, "b", "purchase", "r1", paid=7),
        Row(2.5, "c", "purchase", "r1", pieces=9, paid=900),  # beyond the day that counts
    ]
    result = made(rows, tmp_path)
    assert result.by_item("r1", "revenue") == {"a": 15.5, "b": 7, "c": 0}
    assert result.by_item("r1", "quantity") == {"a": 3, "b": 0, "c": 0}
    assert result.by_item("r1", "margin") == {"a": -1, "b": 0, "c": 0}
    assert result.by_item("r1", "label_purchase") == {"a": 1, "b": 1, "c": 0}


def test_only_actions_with_an_amount_bring_something_in_where_one_has(tmp_path: Path) -> None:
    """Logs often put the price on each click."""
    rows = [
        *shown(1, "r1"),
        Row(1.1, "a", "click", "r1", paid=10),
        Row(1.2, "a", "purchase", "r1", paid=9),
        Row(1.1, "b", "click", "r1", paid=4),
    ]
    (tmp_path / "plain").mkdir()
    assert made(rows, tmp_path).by_item("r1", "revenue") == {"a": 9, "b": 0, "c": 0}
    without = SHOP | {"actions": SHOP["actions"] | {"purchase": {"label": 2}}}
    assert made(rows, tmp_path / "plain", without).by_item("r1", "revenue") == {"a": 19, "b": 4, "c": 0}


def test_a_return_of_some_pieces_takes_their_share_of_the_amounts_and_the_last_one_the_label(tmp_path: Path) -> None:
    bought = [*shown(1, "r1"), Row(1.1, "a", "purchase", "r1", pieces=4, paid=20, earned=8)]
    one, three = Row(2, "a", "return", pieces=-1, paid=-5), Row(3, "a", "return", pieces=-3, paid=-15)
    (tmp_path / "all").mkdir()
    part, whole = made([*bought, one], tmp_path), made([*bought, one, three], tmp_path / "all")
    assert [part.by_item("r1", column)["a"] for column in ("label_purchase", "label", "revenue", "quantity", "margin")] == [1, 1, 15, 3, 6]
    assert [whole.by_item("r1", column)["a"] for column in ("label_purchase", "label", "revenue", "quantity", "margin")] == [0, 0, 0, 0, 0]
    assert part.counts.numbers["returns: attributed actions taken back in part"] == 1
    assert whole.counts.numbers["returns: attributed actions taken back as a whole"] == 1
    assert whole.counts.numbers["returns: return took back purchase"] == 2


def test_a_click_stays_where_its_purchase_is_taken_back(tmp_path: Path) -> None:
    rows = [*shown(1, "r1"), Row(1.1, "a", "click", "r1"), Row(1.2, "a", "purchase", "r1", paid=9), Row(2, "a", "return")]
    result = made(rows, tmp_path)
    assert [result.by_item("r1", column)["a"] for column in ("label_click", "label_purchase", "label", "revenue")] == [1, 0, 1, 0]


@pytest.mark.parametrize(("returns", "left"), [(0, [2, 4]), (1, [2, 0]), (2, [0, 0]), (3, [0, 0])])
def test_without_quantities_each_return_takes_back_the_latest_that_is_left(returns: int, left: list[int], tmp_path: Path) -> None:
    rows = [*shown(1, "r1"), Row(1.1, "a", "purchase", "r1", paid=2), *shown(2, "r2"), Row(2.1, "a", "purchase", "r2", paid=4)]
    result = made([*rows, *(Row(3 + n, "a", "return") for n in range(returns))], tmp_path)
    assert [result.by_item(request, "revenue")["a"] for request in ("r1", "r2")] == left
    assert result.counts.numbers.get("returns: return found no purchase to take back", 0) == max(0, returns - 2)


def test_more_pieces_than_the_latest_had_are_taken_from_the_one_before(tmp_path: Path) -> None:
    rows = [
        *shown(1, "r1"),
        Row(1.1, "a", "purchase", "r1", pieces=4, paid=40),
        *shown(2, "r2"),
        Row(2.1, "a", "purchase", "r2", pieces=1, paid=10),
    ]
    result = made([*rows, Row(3, "a", "return", pieces=2)], tmp_path)
    assert [result.by_item(request, "revenue")["a"] for request in ("r1", "r2")] == [30, 0]


def test_a_return_that_names_its_order_takes_that_one_back(tmp_path: Path) -> None:
    rows = [*shown(1, "r1"), Row(1.1, "a", "purchase", "r1", paid=2), *shown(2, "r2"), Row(2.1, "a", "purchase", "r2", paid=4)]
    result = made([*rows, Row(3, "a", "return", "r1")], tmp_path)
    assert [result.by_item(request, "revenue")["a"] for request in ("r1", "r2")] == [0, 4]


@pytest.mark.parametrize(
    ("day", "user", "item", "taken"),
    [(1.05, "ann", "a", False), (1.2, "bob", "a", False), (1.2, "ann", "b", False), (1.2, "ann", "a", True)],
)
def test_a_return_takes_back_what_its_shopper_bought_of_the_item_before(
    day: float, user: str, item: str, taken: bool, tmp_path: Path
) -> None:
    rows = [*shown(1, "r1"), Row(1.1, "a", "purchase", "r1", paid=2), Row(day, item, "return", user=user)]
    assert made(rows, tmp_path).by_item("r1", "label") == {"a": float(not taken), "b": 0, "c": 0}


@pytest.mark.parametrize(
    ("bought", "returned", "taken"),
    [
        (5, 9.9, True),
        (5, 10, False),  # eval starts on the 11th of February, ten days on
        (12, 13.9, True),
        (12, 14, False),
        (16, 18.9, True),
        (16, 19, True),  # the last moment
    ],
)
def test_a_return_counts_until_the_window_of_its_request_ends(bought: float, returned: float, taken: bool, tmp_path: Path) -> None:
    windows = {"eval": "2026-02-11", "test": "2026-02-15", "until": "2026-02-20", "gap": "1s"}
    rows = [*shown(bought, "r1"), Row(bought + 0.1, "a", "purchase", "r1", paid=2), Row(returned, "a", "return")]
    result = made(rows, tmp_path, SHOP | {"windows": windows})
    assert result.by_item("r1", "revenue")["a"] == (0 if taken else 2)
    late = "returns: came after the window of the label's request ends, and so don't count"
    assert result.counts.numbers.get(late, 0) == int(not taken)


@pytest.mark.parametrize(("buyer", "taken"), [("bob", True), ("ann", True), ("cat", False)])
@pytest.mark.parametrize("partitions", [1, 3])
def test_a_return_takes_back_what_its_shopper_bought_from_the_list_of_another(
    buyer: str, taken: bool, partitions: int, tmp_path: Path
) -> None:
    """Ann, not logged in yet, was shown it as a guest with an id of its own."""
    rows = [
        *shown(1, "r1", user="device-1"),
        Row(1.1, "a", "purchase", "r1", pieces=2, paid=10, earned=4, user=buyer),
        Row(1.1, "b", "purchase", "r1", pieces=1, paid=7, user="ann"),
        Row(2, "a", "return", pieces=1, user="bob" if buyer == "cat" else buyer),
        Row(3, "a", "return", pieces=1, user="bob" if buyer == "cat" else buyer),
        Row(2, "b", "return", "r1", user="device-1"),  # who didn't buy it
    ]
    result = made(rows, tmp_path, partitions=partitions)
    assert [result.by_item("r1", column)["a"] for column in ("label_purchase", "revenue", "quantity", "margin")] == (
        [0, 0, 0, 0] if taken else [1, 10, 2, 4]
    )
    assert [result.by_item("r1", column)["b"] for column in ("label_purchase", "revenue")] == [1, 7]
    assert result.counts.numbers.get("returns: attributed actions taken back as a whole", 0) == int(taken)
    assert result.counts.numbers["returns: return found no purchase to take back"] == (1 if taken else 3)


def test_a_return_is_an_event_of_its_own(tmp_path: Path) -> None:
    rows = [*shown(1, "r1"), Row(1.1, "a", "purchase", "r1"), Row(1.2, "a", "return"), *shown(2, "r2")]
    result = made(rows, tmp_path)
    assert result.examples["r2"]["history_action"] == ["purchase", "return"]
    assert result.by_item("r2", "returns") == {"a": 1, "b": 0, "c": 0}


def test_in_lists_and_sampled_requests_returns_take_back_as_well(tmp_path: Path) -> None:
    features = [feature for feature in SHOP["features"] if feature["name"] == "item"]
    actions = {"purchase": {"label": 1, "amount": "revenue"}, "return": {"takes_back": "purchase"}}
    rows = [
        Row(1, "a", "purchase", "r1", 2, 8),
        Row(1, "b", "purchase", "r1", 1, 3),
        Row(2, "a", "return", "", 1),
        Row(2, "b", "return", "", 1),
    ]
    rows += [Row(3, item, "purchase", f"s{n}", user="bob") for n, item in enumerate("cdefgh")]
    sampled = SHOP | {
        "actions": actions,
        "features": features,
        "candidates": {"from": "sampling", "window": "5d"},
        "ignore_actions": ["show"],
    }
    del sampled["attribution"]
    (tmp_path / "sampled").mkdir()
    result = made(rows, tmp_path / "sampled", sampled)
    assert {item: result.by_item("r1", "label")[item] for item in "ab"} == {"a": 1, "b": 0}
    assert {item: result.by_item("r1", "revenue")[item] for item in "ab"} == {"a": 4, "b": 0}
    assert sum(result.by_item("r1", "label").values()) == 1
    assert sum(result.by_item("r1", "quantity").values()) == 1
    lists = SHOP | {
        "actions": actions,
        "features": features,
        "candidates": {"from": "list", "action": "purchase", "items": "earned"},
        "attribution": 0,
    }
    columns = {role: column for role, column in SHOP["events"]["columns"].items() if role != "margin"}
    lists |= {"events": SHOP["events"] | {"columns": columns}, "ignore_actions": ["show"]}
    (tmp_path / "lists").mkdir()
    listed = [row._replace(earned="a|b|z" if row.action == "purchase" else "") for row in rows]
    result = made(listed, tmp_path / "lists", lists)
    assert [result.by_item("r1", column)["a"] for column in ("label", "revenue", "quantity")] == [1, 4, 1]
    assert [result.by_item("r1", column)["b"] for column in ("label", "revenue", "quantity")] == [0, 0, 0]


def test_rows_carry_their_amount(tmp_path: Path) -> None:
    shop = {
        "name": "rows",
        "events": {"path": "rows.csv", "columns": {"time": "at", "label": "bought", "revenue": "paid"}},
        "actions": {"buy": {"label": 1, "amount": "revenue"}},
        "candidates": {"from": "rows"},
        "features": [{"name": "shop", "kind": "category", "side": "context"}],
    }
    rows = [{"at": f"2026-02-{day:02}", "bought": str(day % 2), "paid": str(day) if day % 2 else "", "shop": "x"} for day in range(1, 29)]
    write(tmp_path, "rows.csv", as_csv(rows))
    result = ingested(yaml.safe_dump(shop), tmp_path, tmp_path / "out").examples
    paid = sorted(columns["revenue"][0] for split in result.values() for columns in split.values())
    assert paid == sorted(float(day) if day % 2 else 0.0 for day in range(1, 29))


def test_what_is_no_number_is_missing_and_counted_and_so_is_a_purchase_below_nothing(tmp_path: Path) -> None:
    rows = [*shown(1, "r1"), Row(1.1, "a", "purchase", "r1", paid="5,50"), Row(1.1, "b", "purchase", "r1", pieces=-2, paid=3, earned=-1)]
    result = made(rows, tmp_path)
    assert result.by_item("r1", "revenue") == {"a": 0, "b": 3, "c": 0}
    assert result.counts.numbers["kept as missing: revenue isn't a number"] == 1
    assert result.counts.numbers["kept with a quantity below 0: labelled actions; returns are an action of their own"] == 1
    assert not [name for name in result.counts.numbers if "margin" in name]


def test_a_column_without_any_number_is_an_error(tmp_path: Path) -> None:
    rows = [*shown(1, "r1"), Row(1.1, "a", "purchase", "r1", paid="EUR 5")]
    with pytest.raises(
        InputError, match=r"expected numbers in column 'paid' \(role 'revenue'\), got 'EUR 5'; is it the right column, and the right kind\?"
    ):
        made(rows, tmp_path)


def test_rows_of_negative_quantity_are_returns_by_a_second_source(tmp_path: Path) -> None:
    """As docs/reference/dataset-file.md has it for logs such as Online Retail's."""
    page = Path(__file__).parents[4] / "docs" / "reference" / "dataset-file.md"
    text = page.read_text(encoding="utf-8").split("### Returns")[1].split("```yaml\n")[1].split("```")[0]
    shop = yaml.safe_load(text)
    shop |= {"name": "retail", "features": [{"name": "item", "kind": "id", "side": "item"}], "windows": {"eval": "20%", "test": "20%"}}
    start = datetime(2026, 2, 1, tzinfo=UTC)
    rows = [
        {
            "ts": start + timedelta(hours=n),
            "invoice": f"{n}",
            "customer": f"c{n % 3}",
            "stock": f"s{n % 7}",
            "quantity": 3,
            "total": 6.0,
        }
        for n in range(90)
    ]
    rows[5] |= {"invoice": "C5", "customer": "c1", "stock": "s4", "quantity": -1, "total": -2.0}  # of invoice 4
    rows[8] |= {"invoice": "C8", "customer": "c0", "stock": "s6", "quantity": -3, "total": -6.0}  # of invoice 6
    pl.DataFrame(rows).write_parquet(tmp_path / "invoices.parquet")
    result = ingested(yaml.safe_dump(shop), tmp_path, tmp_path / "out")
    examples = {request: columns for split in result.examples.values() for (_, request), columns in split.items()}
    at = {name: examples[name]["item"].index(f"s{int(name) % 7}") for name in ("3", "4", "6")}
    got = {
        name: (examples[name]["label"][index], examples[name]["revenue"][index], examples[name]["quantity"][index])
        for name, index in at.items()
    }
    assert got == {"3": (1, 6, 3), "4": (1, 4, 2), "6": (0, 0, 0)}
    assert not {"5", "8", "C5", "C8"} & examples.keys()


PURCHASES = st.builds(
    Row,
    day=st.integers(0, 70).map(lambda n: n / 4),
    item=st.sampled_from("ab"),
    action=st.sampled_from(["purchase", "purchase", "return", "click"]),
    request=st.sampled_from(["", "", "r0", "r1", "r2", "r3"]),
    pieces=st.sampled_from(["", 1, 2, 3]),
    paid=st.sampled_from(["", 6, 12]),
    earned=st.just(""),
    user=st.sampled_from(["ann", "ann", "bob"]),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(PURCHASES, max_size=14))
@example(rows=[Row(0.5, "a", "purchase", "r0", 2, 12, user="bob"), Row(1.0, "a", "return", "", 1, "", user="bob")])
@example(rows=[Row(0.5, "a", "purchase", "r0", 2, 12, user=user) for user in ("ann", "bob")] + [Row(1.0, "a", "return", user="bob")])
def test_random_returns_take_back_what_piece_by_piece_says(rows: list[Row]) -> None:
    lists = [(0.0, "r0", "ann"), (4.0, "r1", "bob"), (9.0, "r2", "ann"), (15.0, "r3", "ann")]
    log = [row for day, request, user in lists for row in shown(day, request, "ab", user)] + list(dict.fromkeys(rows))
    shop = SHOP | {"attribution": "3d"}
    with tempfile.TemporaryDirectory() as folder:
        result = made(log, Path(folder), shop, partitions=2)
    for day, request, user in lists:
        for item in "ab":
            label, revenue = by_pieces(log, lists, (day, request, user), item)
            if request in result.examples:
                assert result.by_item(request, "label_purchase")[item] == label
                assert result.by_item(request, "revenue")[item] == pytest.approx(revenue)


def by_pieces(log: list[Row], lists: list[tuple[float, str, str]], asked: tuple[float, str, str], item: str) -> tuple[float, float]:
    """Label and revenue of a candidate, by hand: each purchase as a heap of pieces, from which returns take one after the other."""
    both = [_from_shopper(user, log, lists, asked, item) for user in ("ann", "bob")]
    return max(label for label, _ in both), sum(revenue for _, revenue in both)


def _from_shopper(
    user: str, log: list[Row], lists: list[tuple[float, str, str]], asked: tuple[float, str, str], item: str
) -> tuple[float, float]:
    """What a candidate, whoever saw it, has from one shopper's purchases."""
    day = asked[0]
    end = 9.0 if day < 9 else 14.0 if day < 14 else 19.1
    theirs = sorted(
        (row for row in log if row.user == user and row.item == item and row.action in ("purchase", "return")), key=lambda row: row.day
    )
    heaps: list[tuple[Row, list[float]]] = []  # each purchase with when each of its pieces was taken back, inf for never
    for row in theirs:
        if row.action == "purchase":
            heaps.append((row, [float("inf")] * (row.pieces or 1)))
            continue
        wanted = row.pieces or None
        first = [heap for heap in reversed(heaps) if row.request and heap[0].request == row.request]
        for bought, pieces in [*first, *(heap for heap in reversed(heaps) if heap not in first)]:
            there = [n for n, at in enumerate(pieces) if at == float("inf")]
            if not there or wanted == 0:
                continue
            whole = wanted is None or not bought.pieces
            taken = there if whole else there[:wanted]
            for n in taken:
                pieces[n] = row.day
            if whole:
                break
            wanted -= len(taken)  # type: ignore[operator]
    revenue, label = 0.0, 0.0
    for bought, pieces in heaps:
        named = [each for each in lists if (each[1] == bought.request if bought.request else each[2] == user and each[0] <= bought.day)]
        if named and max(named) == asked and day <= bought.day <= day + 3:
            left = sum(at >= end for at in pieces) / len(pieces)
            revenue += left * (bought.paid or 0)
            label = max(label, float(left > 0))
    return label, revenue
