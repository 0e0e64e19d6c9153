"""Drafts of shops' own files, whose layouts no list of known formats has: roles, joins, actions, candidates and features."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from components.contract.errors import InputError
from components.contract.load import parse_dataset
from components.profiling.answers import parse_answers
from components.profiling.drafts.dataset_text import dataset_text
from components.profiling.drafts.draft import Draft
from components.validate.check import failed
from components.validate.validate_data import validate
from tests.components.profiling.drafted import NOW_US, drafted, kinds, sources, write_csv

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
TITLES = ("Blue oak lamp", "Round linen chair", "Tall copper mug", "Woven matt rug", "Long oak shelf")


def visits(number: int = 150, *, shown: int = 6, items: int = 40, users: int = 30) -> list[dict[str, Any]]:
    """Lists with what was taken of each, in the order of time."""
    draw = random.Random(3)
    made = []
    for n in range(number):
        listed = draw.sample(range(items), shown)
        made.append(
            {"n": n, "user": 1 + draw.randrange(users), "at": START + timedelta(hours=3 * n), "shown": listed, "taken": listed[: 1 + n % 2]}
        )
    return made


def catalogue(items: int = 40) -> list[dict[str, Any]]:
    return [
        {"code": f"SKU-{n:04d}", "caption": f"{TITLES[n % 5]} {n}", "maker": f"maker{n % 4}", "retail": f"{5 + n * 1.5:.2f}"}
        for n in range(items)
    ]


def validated(draft: Draft, folder: Path) -> list[str]:
    """The checks that fail on the files themselves."""
    text = dataset_text(draft.dataset, heading=["a test"], comments=draft.comments)
    checks = validate(parse_dataset(text), str(folder), now_us=NOW_US)
    assert failed(checks) == any(check.verdict == "FAIL" for check in checks)
    return [f"{check.name}: {check.result} {check.examples}" for check in checks if check.verdict == "FAIL"]


def test_lists_clicks_and_a_catalogue_in_one_log(tmp_path: Path) -> None:
    rows = []
    for visit in visits():
        common = {
            "when": visit["at"].isoformat(),
            "cust_no": f"C{visit['user']:05d}",
            "serp": f"L{visit['n']}",
            "gadget": ("phone", "desktop")[visit["n"] % 2],
        }
        rows += [{**common, "what": "shown", "article": f"SKU-{item:04d}", "slot": at} for at, item in enumerate(visit["shown"])]
        later = {**common, "when": (visit["at"] + timedelta(minutes=2)).isoformat()}
        rows += [{**later, "what": "click", "article": f"SKU-{item:04d}", "slot": ""} for item in visit["taken"]]
    write_csv(tmp_path / "log.csv", rows)
    write_csv(tmp_path / "goods.csv", catalogue())
    answers = parse_answers(roles=["request=serp"])
    draft = drafted(tmp_path, answers)
    source = sources(draft)["log.csv"]
    assert source["columns"] == {
        "time": "when",
        "user": "cust_no",
        "item": "article",
        "action": "what",
        "request": "serp",
        "position": "slot",
    }
    assert draft.dataset["items"] == {"path": "goods.csv", "id": "code"}
    assert draft.dataset["actions"] == {"impression": {"values": ["shown"]}, "click": {"label": 1}}
    assert draft.dataset["candidates"] == {"from": "impressions"}
    assert kinds(draft)["gadget"] == "category"
    assert kinds(draft)["caption"] == "text"
    assert kinds(draft)["maker"] == "category"
    assert kinds(draft)["retail"] == "number"
    assert validated(draft, tmp_path) == []


def test_a_row_for_each_item_shown_with_whether_it_was_clicked(tmp_path: Path) -> None:
    rows = [
        {
            "search_id": visit["n"],
            "ts": int(visit["at"].timestamp() * 1000),
            "visitor": f"v{visit['user']}",
            "hotel_id": 7000 + item,
            "rank": at + 1,
            "clicked": int(item in visit["taken"]),
            "nightly_price": 40 + item * 2 + at,
        }
        for visit in visits()
        for at, item in enumerate(visit["shown"])
    ]
    write_csv(tmp_path / "searches.csv", rows)
    draft = drafted(tmp_path)
    shown, taken = sources(draft)["searches.csv impression"], sources(draft)["searches.csv click"]
    roles = {"time": "ts", "user": "visitor", "item": "hotel_id", "request": "search_id"}
    assert shown["columns"] == {**roles, "position": "rank"}
    assert taken["columns"] == roles
    assert taken["where"] == "clicked = '1'"
    assert shown["time_unit"] == taken["time_unit"] == "ms"
    (price,) = (feature for feature in draft.dataset["features"] if feature["name"] == "nightly_price")
    assert (price["kind"], price["side"], price["source"]) == ("number", "item", "events")
    assert validated(draft, tmp_path) == []


def test_the_list_in_one_column_of_the_click(tmp_path: Path) -> None:
    rows = [
        {
            "timestamp": visit["at"].isoformat(),
            "user_id": f"u{visit['user']}",
            "session_id": f"s{visit['n']}",
            "action_type": kind,
            "reference": f"h{visit['taken'][0] + 500}",
            "impressions": "|".join(f"h{item + 500}" for item in visit["shown"]) if kind == "clickout" else "",
            "prices": "|".join(str(50 + item) for item in visit["shown"]) if kind == "clickout" else "",
            "device": "mobile",
            "platform": ("DE", "FR", "NO")[visit["user"] % 3],
        }
        for visit in visits()
        for kind in (("view_item", "clickout") if visit["n"] % 3 == 0 else ("clickout",))
    ]
    write_csv(tmp_path / "hotels.csv", rows)
    draft = drafted(tmp_path)
    assert draft.dataset["candidates"] == {"from": "list", "action": "click", "items": "impressions", "columns": {"price": "prices"}}
    assert sources(draft)["hotels.csv"]["columns"] == {
        "time": "timestamp",
        "user": "user_id",
        "item": "reference",
        "action": "action_type",
        "session": "session_id",
    }
    assert validated(draft, tmp_path) == []


def test_orders_alone_are_purchases_tied_by_their_invoice(tmp_path: Path) -> None:
    rows = [
        {
            "order_date": visit["at"].strftime("%d.%m.%Y %H:%M"),
            "order_no": 40000 + visit["n"],
            "customer_id": 100 + visit["user"],
            "product_code": f"P{item:03d}",
            "product_name": f"{TITLES[item % 5]} {item}",
            "qty": 1 + item % 3,
            "store": ("north", "south")[visit["user"] % 2],
        }
        for visit in visits()
        for item in visit["shown"][:3]
    ]
    write_csv(tmp_path / "sales.csv", rows, separator=";")
    draft = drafted(tmp_path)
    source = sources(draft)["sales.csv"]
    assert source["separator"] == ";"
    assert source["time_format"] == "%d.%m.%Y %H:%M"
    assert source["action"] == "purchase"
    assert source["columns"] == {
        "time": "order_date",
        "user": "customer_id",
        "item": "product_code",
        "request": "order_no",
        "quantity": "qty",
    }
    assert draft.dataset["candidates"]["group"] == "request"
    assert draft.dataset["items"]["id"] == "product_code"
    assert kinds(draft)["product_name"] == "text"
    assert kinds(draft)["store"] == "category"
    assert "qty" not in kinds(draft)  # known only once it was bought


def test_several_files_a_file_a_kind_and_a_file_a_day(tmp_path: Path) -> None:
    for day in range(3):
        those = [visit for visit in visits() if visit["at"].day % 3 == day]
        views = [{"time": v["at"].isoformat(), "account": v["user"], "pid": f"p{item}"} for v in those for item in v["shown"]]
        write_csv(tmp_path / f"views-2026-03-{day + 1:02d}.csv", views)
    bought = [{"paid_at": (v["at"] + timedelta(minutes=9)).isoformat(), "account": v["user"], "pid": f"p{v['taken'][0]}"} for v in visits()]
    write_csv(tmp_path / "orders.csv", bought)
    people = [
        {"account": n + 1, "gender": "mf"[n % 2], "age": 20 + n, "signup": "2020-01-01", "email": f"a{n}@mail.example"} for n in range(30)
    ]
    write_csv(tmp_path / "accounts.csv", people)
    draft = drafted(tmp_path)
    assert {path: source["action"] for path, source in sources(draft).items()} == {"views-2026-03-*.csv": "view", "orders.csv": "purchase"}
    assert draft.dataset["users"] == {"path": "accounts.csv", "id": "account"}
    assert draft.dataset["candidates"]["from"] == "sampling"
    assert draft.dataset["actions"] == {"purchase": {"label": 1}, "view": {}}
    assert kinds(draft)["age"] == "number"
    assert "email" not in kinds(draft)
    assert validated(draft, tmp_path) == []


def test_rows_with_an_outcome_and_nothing_else(tmp_path: Path) -> None:
    draw = random.Random(5)
    rows = [
        {"target": n % 3 // 2, "clicks_before": draw.randrange(90), "ad_type": f"t{n % 7}", "score_a": f"{draw.random():.4f}"}
        for n in range(400)
    ]
    write_csv(tmp_path / "train.csv", rows)
    draft = drafted(tmp_path)
    assert draft.dataset["candidates"] == {"from": "rows"}
    assert draft.dataset["windows"]["by"] == "hash"
    assert sources(draft)["train.csv"]["columns"] == {"label": "target"}
    assert validated(draft, tmp_path) == []


def test_a_parquet_log_with_times_lists_and_vectors(tmp_path: Path) -> None:
    rows = [
        {"event_time": visit["at"], "member_id": visit["user"], "song_id": item, "event": "play", "tags": ["a", "b"][: 1 + item % 2]}
        for visit in visits()
        for item in visit["shown"]
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "plays.parquet")
    songs = [{"song_id": n, "title": TITLES[n % 5], "embedding": [0.1 * n, 0.2, -0.5, 1.5], "genre": f"g{n % 3}"} for n in range(40)]
    pl.DataFrame(songs).write_parquet(tmp_path / "songs.parquet")
    draft = drafted(tmp_path)
    assert sources(draft)["plays.parquet"]["columns"]["time"] == "event_time"
    assert draft.dataset["items"] == {"path": "songs.parquet", "id": "song_id"}
    assert kinds(draft)["embedding"] == "vector"
    assert [f["size"] for f in draft.dataset["features"] if f["name"] == "embedding"] == [4]
    assert validated(draft, tmp_path) == []


def test_json_lines_with_an_array_of_events(tmp_path: Path) -> None:
    lines = [
        {
            "visitor": {"id": f"v{v['user']}"},
            "country": "NO",
            "actions": [{"sku": f"k{i}", "ts": int(v["at"].timestamp()) + at, "type": "cart"} for at, i in enumerate(v["taken"])],
        }
        for v in visits()
    ]
    (tmp_path / "visits.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    draft = drafted(tmp_path)
    source = sources(draft)["visits.jsonl"]
    assert source["unnest"] == "actions"
    assert source["columns"] == {"time": "actions.ts", "user": "visitor.id", "item": "actions.sku"} | (
        {"action": "actions.type"} if "action" in source["columns"] else {}
    )


def test_a_shopper_of_the_id_0_is_one_like_any_other_and_nobody_where_zeros_are_many(tmp_path: Path) -> None:
    rows = [
        {"ts": v["at"].isoformat(), "user_id": v["user"] - 1, "item_id": f"k{item}", "event": "purchase"}
        for v in visits()
        for item in v["taken"]
    ]
    write_csv(tmp_path / "log.csv", rows)
    assert sources(drafted(tmp_path))["log.csv"]["null_values"] == {"user_id": []}
    write_csv(tmp_path / "log.csv", [{**row, "user_id": 0 if n % 3 == 0 else row["user_id"]} for n, row in enumerate(rows)])
    assert "null_values" not in sources(drafted(tmp_path))["log.csv"]


def test_two_columns_that_fit_as_well_are_asked_about_and_a_flag_answers(tmp_path: Path) -> None:
    rows = [
        {
            "created_at": v["at"].isoformat(),
            "buyer": f"b{v['user']}",
            "client": f"c{v['user'] % 7}",
            "sku": f"k{v['taken'][0]}",
            "event": "purchase",
        }
        for v in visits()
    ]
    write_csv(tmp_path / "log.csv", rows)
    (question,) = drafted(tmp_path).questions
    assert question.key == ("role", "log.csv", "user")
    assert set(question.choices[:2]) == {"buyer", "client"}
    answered = drafted(tmp_path, parse_answers(roles=["log.csv:user=client"]))
    assert answered.questions == ()
    assert sources(answered)["log.csv"]["columns"]["user"] == "client"


def test_days_and_months_that_look_alike_must_be_said(tmp_path: Path) -> None:
    draw = random.Random(2)
    rows = [
        {
            "date": f"{1 + draw.randrange(12):02d}/{1 + draw.randrange(12):02d}/2025",
            "user": f"u{n % 9}",
            "sku": f"k{n % 20}",
            "event": "purchase",
        }
        for n in range(300)
    ]
    write_csv(tmp_path / "log.csv", rows)
    (question,) = drafted(tmp_path).questions
    assert question.key == ("day_first",)
    assert question.default is None
    for day_first, written in ((True, "%d/%m/%Y"), (False, "%m/%d/%Y")):
        draft = drafted(tmp_path, parse_answers(day_first=day_first))
        assert draft.questions == ()
        assert sources(draft)["log.csv"]["time_format"] == written


def test_words_that_mean_nothing_known_are_no_labels_until_somebody_says_so(tmp_path: Path) -> None:
    rows = [
        {"ts": v["at"].isoformat(), "user_id": v["user"], "item_id": f"k{item}", "event_type": ("zug", "abo")[at % 2]}
        for v in visits()
        for at, item in enumerate(v["shown"])
    ]
    write_csv(tmp_path / "log.csv", rows)
    draft = drafted(tmp_path)
    assert {question.key for question in draft.questions} == {("action", "zug"), ("action", "abo")}
    said = drafted(tmp_path, parse_answers(actions=["purchase=abo:5", "view=zug"]))
    assert said.dataset["actions"] == {"view": {"values": ["zug"]}, "purchase": {"values": ["abo"], "label": 5}}
    assert said.questions == ()


def test_what_nobody_is_told_of_is_an_error_that_names_the_flags(tmp_path: Path) -> None:
    write_csv(tmp_path / "numbers.csv", [{"a": n % 7, "b": n % 5, "c": f"{n / 3:.3f}"} for n in range(100)])
    with pytest.raises(InputError, match=r"expected a file of events .* among numbers.csv; .*--role ROLE=COLUMN, or --file FILE=events"):
        drafted(tmp_path)


def test_an_answer_that_names_nothing_is_an_error(tmp_path: Path) -> None:
    write_csv(tmp_path / "log.csv", [{"ts": START.isoformat(), "user": "u", "sku": "k", "event": "click"}] * 3)
    with pytest.raises(InputError, match=r"--role user=cust: no file has such a column; there are event, sku, ts, user"):
        drafted(tmp_path, parse_answers(roles=["user=cust"]))
    with pytest.raises(InputError, match=r"--file other.csv: expected one of the files log.csv"):
        drafted(tmp_path, parse_answers(uses=["other.csv=ignore"]))
    with pytest.raises(InputError, match=r"--role shopper=x: expected \[FILE:\]ROLE=COLUMN with a role of time, user"):
        parse_answers(roles=["shopper=x"])
    with pytest.raises(InputError, match="--action buy: expected NAME=VALUE"):
        parse_answers(actions=["buy"])
