"""Events: acknowledged when they are in the log and the state, refused whole when one of them is wrong, and decisions logged."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from serving.exposure.pseudonym import pseudonym
from tests.serving.service.conftest import Started
from tests.serving.service.little_shop import ITEMS

T_US = 1_770_000_000_000_000
SALT = bytes(range(16))


def rows(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob(f"{kind}-*")) for line in path.read_text().splitlines()]


def test_what_is_acknowledged_is_in_the_log(started: Started, tmp_path: Path) -> None:
    service = started(places={"log": tmp_path})
    list_shown = {"request": "r1", "items": ["p2", "p1"], "shopper": "a", "time_us": T_US, "shown": {"shown_price": [29, 19]}}
    click = {"action": "click", "item": "p1", "shopper": "a", "request": "r1", "session": "s", "position": 1, "time_us": T_US + 1}
    body = {"impressions": [list_shown], "interactions": [{**click, "context": {"device": "mobile"}}]}
    assert service.post("/v1/events", body).json == {"accepted": 2}
    first, second, third = rows(tmp_path, "interactions")  # not yet complete, and there all the same
    assert [(row["action"], row["item"], row["position"], row["shown_price"]) for row in (first, second)] == [
        ("impression", "p2", 0, 29),
        ("impression", "p1", 1, 19),
    ]
    assert [third[key] for key in ("action", "item", "user", "request", "session", "dev", "time")] == [
        "click", "p1", "a", "r1", "s", "mobile", T_US + 1,
    ]  # fmt: skip
    assert service.counted('shelfrank_actions_total{action="click",served_by="stable"}') == 1
    assert service.counted('shelfrank_shown_total{served_by="stable"}') == 1
    assert service.counted('shelfrank_log_records{fate="interactions_committed"}') == 3


def test_amounts_are_in_the_log_as_numbers_and_what_the_dataset_file_lacks_is_refused(started: Started, tmp_path: Path) -> None:
    service = started(places={"log": tmp_path})
    click = {"action": "click", "item": "p1", "shopper": "a", "time_us": T_US}
    kept = [{**click, "revenue": 12.5, "quantity": 3}, {**click, "time_us": T_US + 1}]
    assert service.post("/v1/events", {"interactions": kept}).json == {"accepted": 2}
    assert [(row["revenue"], row["quantity"]) for row in rows(tmp_path, "interactions")] == [(12.5, 3.0), (None, None)]
    answer = service.post("/v1/events", {"interactions": [{**click, "margin": 1.0}]})
    assert answer.status == 400
    assert "the dataset file names no column for the role 'margin' (named: revenue, quantity)" in answer.json["error"]
    assert service.post("/v1/events", {"interactions": [{**click, "revenue": "12"}]}).status == 422
    assert len(rows(tmp_path, "interactions")) == 2


def test_decisions_are_logged_with_the_models_scores_apart_from_the_order(started: Started, tmp_path: Path) -> None:
    service = started(places={"log": tmp_path}, salt=SALT, logged_features=1.0)
    answer = service.rank("p0", "p1", "p2", shopper="a", session="s", places=2, context={"device": "mobile"})
    until = time.monotonic() + 5
    while not (impressions := rows(tmp_path, "impressions")) and time.monotonic() < until:
        time.sleep(0.01)
    (decision,) = rows(tmp_path, "decisions")
    assert (decision["request"], decision["items"], decision["order"]) == (answer["request"], ["p0", "p1", "p2"], [2, 1, 0])
    assert decision["scores"] == answer["scores"][::-1]
    assert (decision["label"], decision["version"], decision["degraded"]) == ("stable", "2", "")
    assert decision["features"]["price"] == [[10, 20, 30, *[0] * 7]]  # as sent: filled up to ten
    assert 0 < decision["model_ms"] < 5_000
    assert len(decision["user"]) == 32  # hashed
    assert [(row["item"], row["position"], row["user"], row["dev"]) for row in impressions] == [
        ("p2", 0, decision["user"], "mobile"),
        ("p1", 1, decision["user"], "mobile"),
    ]


def test_ids_are_text_by_the_rule_of_the_log(started: Started, tmp_path: Path) -> None:
    """However a caller spells them: as numbers, with blanks, as words for nobody."""
    service = started(places={"log": tmp_path})
    spelt: list[Any] = [108, 108.0, "108", " 108.00 ", "1.08e2", "NULL", 0, " "]
    clicks = [{"action": "click", "item": " p1 ", "shopper": who, "session": 7.0, "time_us": T_US + n} for n, who in enumerate(spelt)]
    shown = {"request": 5, "items": ["p2\t", " p1"], "shopper": 108.0, "session": "nan", "time_us": T_US}
    assert service.post("/v1/events", {"impressions": [shown], "interactions": clicks}).json == {"accepted": 9}
    logged = rows(tmp_path, "interactions")
    assert [(row["user"], row["item"], row["request"], row["session"]) for row in logged[:2]] == [
        ("108", "p2", "5", None),
        ("108", "p1", "5", None),
    ]
    assert [(row["user"], row["item"], row["session"]) for row in logged[2:]] == [
        *[("108", "p1", "7")] * 5,
        *[(None, "p1", "7")] * 3,
    ]
    assert service.rank(" p0 ", "p1", shopper=108)["order"] == ["p1", "p0"]


def test_one_wrong_event_and_none_of_them_counts(started: Started, tmp_path: Path) -> None:
    service = started(places={"log": tmp_path})
    good = {"action": "click", "item": "p0", "shopper": "a", "time_us": T_US}
    answer = service.post("/v1/events", {"interactions": [good, {**good, "action": "clik"}]})
    assert (answer.status, answer.json["error"].partition(";")[0]) == (400, "'clik' isn't among the dataset file's actions")
    answer = service.post("/v1/events", {"interactions": [good, {**good, "context": {"dev": 1}}]})
    assert answer.status == 400
    assert "'dev' is no feature" in answer.json["error"]
    answer = service.post("/v1/events", {"interactions": [good, {**good, "context": {"": 1}}]})
    assert (answer.status, "'' is no feature" in answer.json["error"]) == (400, True)
    assert rows(tmp_path, "interactions") == []
    assert service.rank(*ITEMS)["order"] == ITEMS[::-1]


def test_events_sent_again_count_once(started: Started) -> None:
    service = started()
    before = service.rank("p0")["scores"][0]
    for _ in range(2):
        assert (
            service.post("/v1/events", {"interactions": [{"action": "click", "item": "p0", "shopper": "a", "time_us": T_US}]}).status == 200
        )
    assert service.rank("p0")["scores"][0] == pytest.approx(before + 1, abs=1e-6)


def test_a_log_that_takes_nothing_is_told_as_503(started: Started, tmp_path: Path) -> None:
    service = started(places={"log": tmp_path / "log"})
    (tmp_path / "log").rename(tmp_path / "gone")
    answer = service.post("/v1/events", {"interactions": [{"action": "click", "item": "p0", "shopper": "a"}]})
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "couldn't be written" in answer.json["error"]
    assert service.rank("p0")["rung"] == "model"


def test_forgetting_a_shopper_makes_him_a_stranger(started: Started) -> None:
    service = started()
    unknown = service.rank(*ITEMS, shopper="a")["scores"]
    assert service.post("/v1/events", {"interactions": [{"action": "search", "shopper": "a"}]}).status == 200
    clicks = [{"action": "click", "item": "elsewhere", "shopper": "a", "time_us": T_US + n} for n in range(9)]
    assert service.post("/v1/events", {"interactions": clicks}).status == 200
    assert service.rank(*ITEMS, shopper="a")["scores"] != unknown
    answer = service.call("DELETE", "/v1/shoppers/a")
    assert (answer.status, answer.body) == (204, b"")
    assert service.rank(*ITEMS, shopper="a")["scores"] == unknown


def test_the_state_is_taken_up_again_from_a_snapshot(started: Started, tmp_path: Path) -> None:
    first = started(places={"snapshot": tmp_path / "snapshot"})
    clicks = [{"action": "click", "item": "p0", "shopper": "a", "time_us": T_US + n} for n in range(3)]
    first.post("/v1/events", {"interactions": clicks})
    scores = first.rank("p0")["scores"]
    first.stop()
    assert started(places={"snapshot": tmp_path / "snapshot"}).rank("p0")["scores"] == scores
    assert started().rank("p0")["scores"] == pytest.approx([scores[0] - 3], abs=1e-6)


def test_a_shopper_forgotten_goes_from_the_log_too(started: Started, tmp_path: Path) -> None:
    first = started(places={"log": tmp_path}, salt=SALT)
    assert first.post("/v1/events", {"interactions": [{"action": "click", "item": "p0", "shopper": name} for name in "ab"]}).status == 200
    assert first.call("DELETE", "/v1/shoppers/a").status == 204
    first.stop()  # its file is complete, and what it was asked for stands in the log's folder
    assert len(rows(tmp_path, "interactions")) == 2
    started(places={"log": tmp_path}, salt=SALT)
    until = time.monotonic() + 10
    while len(rows(tmp_path, "interactions")) > 1 and time.monotonic() < until:
        time.sleep(0.05)
    (left,) = rows(tmp_path, "interactions")
    assert left["user"] == pseudonym("b", SALT)


def test_a_log_that_cannot_be_told_to_forget_is_told_as_503(started: Started, tmp_path: Path) -> None:
    service = started(places={"log": tmp_path / "log"})
    (tmp_path / "log").rename(tmp_path / "gone")
    answer = service.call("DELETE", "/v1/shoppers/a")
    assert (answer.status, "to forget" in answer.json["error"]) == (503, True)
