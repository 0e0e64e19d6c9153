"""The nested logs of docs/reference/dataset-file.md: validate and ingestion read rows in exactly those layouts as the page says."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.contract.load import parse_dataset
from components.validate import validate
from tests.components.ingest.generators.plain_shop import run_ingest, write
from tests.components.ingest.without_beam import NOW_US

DOC = (Path(__file__).resolve().parents[4] / "docs" / "reference" / "dataset-file.md").read_text()
START_S = int(datetime(2026, 2, 1, tzinfo=UTC).timestamp())
HOUR_S, DAY_S = 3600, 86400


def of_page(name: str) -> str:
    (text,) = [text for text in re.findall(r"```yaml\n(.*?)```", DOC, flags=re.DOTALL) if text.startswith(f"name: {name}\n")]
    return str(text)


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def failing(text: str, folder: Path) -> list[str]:
    return [str(check) for check in validate(parse_dataset(text), str(folder), now_us=NOW_US) if check.verdict == "FAIL"]


def test_sessions_with_their_events_in_one_object(tmp_path: Path) -> None:
    def event(at_s: int, aid: int, kind: str) -> dict[str, Any]:
        return {"aid": aid, "ts": (START_S + at_s) * 1000, "type": kind}

    sessions = [
        {
            "session": n,
            "events": [event(n * HOUR_S + 10 * k, 10 + (n + k) % 7, ("clicks", "carts", "orders")[k % 3]) for k in range(1 + n % 3)],
        }
        for n in range(40)
    ]
    write(tmp_path, "otto.jsonl", lines([*sessions, {"session": 40, "events": []}]))
    text = of_page("otto")
    assert failing(text, tmp_path) == []
    made, _, counts, samples = run_ingest(tmp_path, text)
    events = sum(len(session["events"]) for session in sessions)
    assert (counts["rows read"], counts["rows kept"]) == (events + 1, events)
    assert counts["left out: rows whose array to unnest is empty"] == 1
    assert samples == {}
    of_users = [(key[0], columns) for split in made.examples.values() for key, columns in split.items()]
    assert len(of_users) >= 20
    for user, columns in of_users:
        in_order = [str(event["aid"]) for event in sessions[int(user)]["events"]]
        before = len(columns["history_item"])
        assert columns["history_item"] == in_order[:before]
        assert columns["item"][columns["label"].index(1)] == in_order[before]


def test_an_export_of_google_analytics(tmp_path: Path) -> None:
    def event(at_s: int, user: int, name: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        session = {"key": "ga_session_id", "value": {"int_value": str(1000 + user)}}
        page = {"key": "page_location", "value": {"string_value": f"https://shop.example/{user % 2}"}}
        return {
            "event_timestamp": str((START_S + at_s) * 1_000_000),
            "event_name": name,
            "user_pseudo_id": f"{user}.17",
            "event_params": [page, session] if user % 2 else [session, {"key": "engaged", "value": {"double_value": 1.5}}, page],
            "geo": {"country": "Norway" if user % 3 else None},
            "device": {"category": "mobile", "web_info": {"browser": "Firefox"}},
            "items": items,
        }

    shown = [{"item_id": f"p{k}", "price": 1.5 + k, "item_params": []} for k in range(3)]
    rows = []
    for user in range(30):
        rows.append(event(user * DAY_S, user, "view_item_list", shown))
        rows.append(event(user * DAY_S + 60, user, "select_item", [shown[1]]))
        if user % 5 == 0:
            rows.append(event(user * DAY_S + 600, user, "purchase", [shown[1]]))
    write(tmp_path, "ga4-20260201.jsonl", lines(rows[:40]))
    write(tmp_path, "ga4-20260202.jsonl", lines(rows[40:]))
    text = of_page("ga4")
    assert failing(text, tmp_path) == []
    made, _, counts, samples = run_ingest(tmp_path, text)
    assert samples == {}
    # Two sources read each file, and each leaves out what the other is for.
    assert (counts["rows kept"], counts["left out: by the condition `where`"]) == (30 * 4 + 6, 30 * 4 + 6)
    examples = {key[0]: columns for split in made.examples.values() for key, columns in split.items()}
    assert len(examples) >= 20
    for user, columns in examples.items():
        n = int(user.split(".")[0])
        assert columns["item"] == ["p0", "p1", "p2"]
        assert columns["position"] == [0, 1, 2]
        assert columns["price"] == [1.5, 2.5, 3.5]
        assert columns["page"] == [f"https://shop.example/{n % 2}"]
        assert columns["country"] == ["Norway" if n % 3 else ""]
        assert columns["label_click"] == [0, 1, 0]
        assert columns["label_purchase"] == [0, 1 if n % 5 == 0 else 0, 0]


def test_searches_of_mongodb(tmp_path: Path) -> None:
    def search(n: int) -> dict[str, Any]:
        at = datetime.fromtimestamp(START_S + n * HOUR_S, UTC)
        shown = [{"sku": f"s{(n + k) % 5}", "price": {"$numberDouble": f"{k + 0.5}"}} for k in range(3)]
        return {
            "_id": {"$oid": f"{n:024x}"},
            "at": {"$date": at.isoformat().replace("+00:00", "Z")}
            if n % 2
            else {"$date": {"$numberLong": str(int(at.timestamp()) * 1000)}},
            "shopper": {"$oid": f"{n % 4:024x}"},
            "filter": {"text": "red mug"} if n % 3 else None,
            "shown": shown,
            "bought": {"sku": shown[n % 3]["sku"]},
        }

    products = [{"_id": {"$oid": f"s{k}"}, "brand": {"name": f"b{k}"}, "tags": [{"name": "new"}, {"name": f"t{k}"}]} for k in range(5)]
    write(tmp_path, "products.json", json.dumps(products, indent=1))
    text = of_page("searches")
    for kind in (0, 1):  # one of MongoDB's two ways to write a date at a time: `at.$date`, `at.$date.$numberLong`
        write(tmp_path, "searches.jsonl", lines([search(n) for n in range(kind, 60, 2)]))
        shop = text if kind else text.replace("at.$date", "at.$date.$numberLong")
        assert failing(shop, tmp_path) == []
        made, _, counts, samples = run_ingest(tmp_path, shop)
        assert samples == {}
        assert counts["rows added: candidates of lists"] == 90
        examples = {int(key[1], 16): columns for split in made.examples.values() for key, columns in split.items()}
        assert len(examples) == sum(counts[f"examples: {split} requests"] for split in ("train", "eval", "test")) >= 25
        for n, columns in examples.items():
            assert columns["item"] == [f"s{(n + k) % 5}" for k in range(3)]
            assert columns["price"] == [0.5, 1.5, 2.5]
            assert columns["label"] == [1.0 if k == n % 3 else 0.0 for k in range(3)]
            assert columns["brand"] == [f"b{(n + k) % 5}" for k in range(3)]
            assert columns["tags"] == [f"new|t{(n + k) % 5}" for k in range(3)]
            assert columns["query"] == ["red mug" if n % 3 else ""]
            assert int(columns["user"][0], 16) == n % 4
