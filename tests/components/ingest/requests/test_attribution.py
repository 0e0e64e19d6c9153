"""Ids that begin anew, clicks of another shopper, of none, or of another clock: every label stays, or the run says why."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from components.contract.errors import DatasetFileError, InputError
from components.contract.load import parse_dataset
from components.ingest.report import require_labels
from tests.components.ingest.generators.plain_shop import SHOP, IngestRun, Rows, as_csv, requests, run_ingest, shop, write
from tests.components.ingest.generators.random_shops import Columns

GUESTS = SHOP.replace("  path: events.csv", "  path: events.csv\n  missing_user: guest")
VISITS = SHOP.replace("request: request}", "request: request, session: visit}")
HISTORY = """\
  - {name: item, kind: id, side: item}
  - {name: history, kind: history, side: user, actions: [click], fields: [item], length: 5}
"""


def examples(result: IngestRun) -> Iterator[Columns]:
    return (columns for split in result.made.examples.values() for columns in split.values())


def positives(result: IngestRun) -> int:
    """Labels of all examples; those of requests in a gap aren't among them."""
    return sum(sum(columns["label"]) for columns in examples(result))


def lost(result: IngestRun) -> dict[str, int]:
    return {
        name.rpartition(": ")[2]: n for name, n in result.counts.items() if name.startswith("kept in state and history, not as a label")
    }


@pytest.fixture
def whole(tmp_path: Path) -> float:
    """How many labels the shop has."""
    folder = tmp_path / "whole"
    folder.mkdir()
    shop(folder)
    return positives(run_ingest(folder))


def visits(*, guests: bool) -> Rows:
    """Each shopper's visits are hours apart, and requests are counted anew in each: every id is 1."""
    return [row | {"request": "1", "visit": row["request"], "user": "" if guests else row["user"]} for row in requests()]


@pytest.mark.parametrize("guests", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_ids_that_begin_anew_in_each_visit_are_requests_of_their_own(tmp_path: Path, whole: float, guests: bool, named: bool) -> None:
    shop(tmp_path, events=visits(guests=guests))
    text = (VISITS if named else SHOP).replace("path: events.csv", "path: events.csv\n  missing_user: guest")
    result = run_ingest(tmp_path, text)
    assert result.counts["requests formed"] == 20
    assert result.counts["labelled actions"] == 20
    assert positives(result) == whole
    assert lost(result) == {}
    # Of the first request of each shopper (or of the one guest that all are without visits) none is there before.
    guests_apart = named and guests
    assert result.counts.get("told apart: requests that share their id with another of the shopper", 0) == (
        0 if guests_apart else 19 if guests else 17
    )


def test_two_visits_at_one_time_are_told_apart_where_the_log_names_them(tmp_path: Path) -> None:
    """Guests of two visits, a minute apart, each shown another item under the id 1, and each clicks it."""
    at = datetime(2026, 2, 1, tzinfo=UTC)
    rows: Rows = []
    for n, (visit, item) in enumerate([("x", "a"), ("y", "b")] * 20):
        row = {"user": "", "request": "1", "page": "home", "shown_price": "5", "visit": f"{visit}{n}", "item": item}
        moment = at + timedelta(hours=n // 2, minutes=n % 2)
        rows += [row | {"at": moment.isoformat(), "action": "show"}]
        rows += [row | {"at": (moment + timedelta(minutes=3)).isoformat(), "action": "click"}]
    shop(tmp_path, events=rows)
    result = run_ingest(tmp_path, VISITS.replace("path: events.csv", "path: events.csv\n  missing_user: guest"))
    assert result.counts["requests formed"] == 40
    assert lost(result) == {}
    assert all((columns["item"], columns["label"]) in ((["a"], [1]), (["b"], [1])) for columns in examples(result))


@pytest.mark.parametrize("who", ["u9", "", "u1"])
def test_a_click_belongs_to_the_request_it_names_whoever_clicked(tmp_path: Path, whole: float, who: str) -> None:
    """A login in the midst of a visit, a click log that knows only guests, and one shopper who has all clicks."""
    shop(tmp_path, events=[row | ({"user": who} if row["action"] == "click" else {}) for row in requests()])
    result = run_ingest(tmp_path, GUESTS)
    assert (positives(result), lost(result)) == (whole, {})


def test_lists_of_guests_get_the_clicks_of_those_who_log_in(tmp_path: Path, whole: float) -> None:
    shop(tmp_path, events=[row | ({"user": ""} if row["action"] == "show" else {}) for row in requests()])
    result = run_ingest(tmp_path, GUESTS + HISTORY)
    assert (positives(result), lost(result)) == (whole, {})
    assert all(columns["history_item"] == [] for columns in examples(result)), "nothing is kept of guests"


def apart(folder: Path, *, clicks: Rows) -> str:
    """Lists in one file, clicks in another that has no shoppers; the dataset file's text."""
    shop(folder, events=[row for row in requests() if row["action"] == "show"])
    write(folder, "clicks.csv", as_csv([{name: row[name] for name in ("at", "item", "request")} for row in clicks]))
    sources = (
        "events:\n"
        "  - {path: events.csv, action: show, columns: {time: at, user: user, item: item, request: request}}\n"
        "  - {path: clicks.csv, action: click, columns: {time: at, item: item, request: request}}\n"
    )
    head, _, rest = SHOP.partition("events:\n")
    text = head + sources + rest[rest.index("items:") :] + HISTORY
    return "".join(line for line in text.splitlines(keepends=True) if "page" not in line and "shown_price" not in line)


def test_a_click_log_without_shoppers_labels_lists_and_enters_histories(tmp_path: Path, whole: float) -> None:
    text = apart(tmp_path, clicks=[row for row in requests() if row["action"] == "click"])
    result = run_ingest(tmp_path, text)
    assert (positives(result), lost(result)) == (whole, {})
    # u0 asks at hours 0, 3, 6: at the third time the clicks of the first two are known.
    assert result.made.examples["train"]["u0", "r6"]["history_item"] == ["a", "a"]


def test_a_click_without_shopper_must_name_a_request(tmp_path: Path) -> None:
    rows = [row | ({"request": ""} if row["request"] == "r4" else {}) for row in requests() if row["action"] == "click"]
    result = run_ingest(tmp_path, apart(tmp_path, clicks=rows))
    assert result.counts["rejected: no user and no request"] == 1
    text = apart(tmp_path, clicks=rows).replace("item: item, request: request}}\n", "item: item}}\n")
    text = text.replace(
        "action: show, columns: {time: at, user: user, item: item}}",
        "action: show, columns: {time: at, user: user, item: item, request: request}}",
    )
    with pytest.raises(DatasetFileError, match="'user'"):
        parse_dataset(text)


def whole_seconds(*, early_ms: int = 400) -> Rows:
    """Lists are stamped in milliseconds, clicks in whole seconds that follow at once: each click seems to come before its list."""
    rows = []
    for row in requests():
        at = datetime.fromisoformat(row["at"])
        moment = at + timedelta(milliseconds=early_ms) if row["action"] == "show" else at - timedelta(minutes=1)
        rows.append(row | {"at": moment.isoformat(timespec="milliseconds")})
    return rows


@pytest.mark.parametrize("named", [True, False])
def test_clicks_in_whole_seconds_are_kept_by_a_tolerance(tmp_path: Path, whole: float, named: bool) -> None:
    shop(tmp_path, events=[row if named or row["action"] == "show" else row | {"request": ""} for row in whole_seconds()])
    # Where no request is named the list three hours before, which showed the item too, is the nearest.
    assert lost(run_ingest(tmp_path)) == ({"before its list": 20} if named else {"before its list": 3, "too late": 17})
    result = run_ingest(tmp_path, SHOP + HISTORY + "skew: 1s\n")
    assert (positives(result), lost(result)) == (whole, {})
    # The click of each list is known at the shopper's next one, three hours later, and not at its own.
    train = result.made.examples["train"]
    assert [len(train["u0", f"r{n}"]["history_item"]) for n in (0, 3, 6)] == [0, 1, 2]
    assert train["u0", "r3"]["history_age_s"] == [3 * 3600], "it happened with its list, not before"


LOSSES = {
    "before its list": {"at": "2026-01-31T00:00:00+00:00"},
    "too late": {"at": "2026-02-03T00:00:00+00:00"},
    "item not in the list": {"item": "c"},
    "no such request": {"request": "lost"},
    "never shown to the shopper": {"request": "", "item": "c"},
}


@pytest.mark.parametrize("cause", LOSSES)
def test_a_run_stops_and_says_which_labels_belong_to_no_list_and_why(tmp_path: Path, cause: str) -> None:
    rows = [row | (LOSSES[cause] if row["action"] == "click" and row["request"] in ("r3", "r4") else {}) for row in requests()]
    shop(tmp_path, events=rows)
    result = run_ingest(tmp_path)
    assert lost(result) == {cause: 2}
    with pytest.raises(InputError) as error:
        require_labels(result.report, parse_dataset(SHOP))
    assert (
        f"2 of 20 labelled actions (10.00%) belong to no list, more than the 1.000% that `unattributed` allows. By cause: {cause}: 2"
        in str(error.value)
    )
    assert f"{tmp_path}/events.csv, row 11" in str(error.value)
    require_labels(result.report, parse_dataset(SHOP + "unattributed: 10%\n"))


def test_an_id_that_several_shoppers_have_at_one_time_settles_nothing(tmp_path: Path) -> None:
    """Two shoppers are shown lists under one id in the same hour; a third one clicks under it."""
    rows = requests()
    for row in rows[3:9]:  # r1 of u1 and r2 of u2
        row["request"] = "r1"
        row["at"] = rows[3]["at"] if row["action"] == "show" else rows[5]["at"]
    rows[5] = rows[5] | {"user": "u0"}
    shop(tmp_path, events=rows)
    result = run_ingest(tmp_path)
    assert lost(result) == {"other shopper": 1}
    assert result.counts["told apart: request ids that several shoppers have"] == 1
