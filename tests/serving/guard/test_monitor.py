"""The log is read as it grows, and each shopper counts once."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.contract.errors import InputError, ShelfRankError
from serving.exposure.event_types import Exposure, Interaction
from serving.exposure.log_tailer import complete_sizes, read_new_lines
from serving.exposure.serialization import EventRows, decision_row, json_lines
from serving.guard.attribution import Click
from serving.guard.log_parser import Clicks, Trial, parse_request
from serving.guard.monitor import Monitor, MonitorSettings
from serving.guard.sequential_test import Limits
from serving.guard.trial_store import TrialState, TrialStore
from tests.serving.exposure.shop_log import dataset
from tests.serving.guard.stream import GOOD, START_US, STEP_US, Side, stream, told, write

TRIAL = Trial(3, 2, START_US)
LATER_US = START_US + 10_000_000_000_000
LIMITS = Limits(click_loss=0.2, error_rise=0.02, slow_rise=0.05, min_requests=300)


def sentry(ledger: TrialStore, *folders: Path, **duty: Any) -> Monitor:
    return Monitor(
        MonitorSettings(logs=folders, **({"click_s": 60.0, "late_s": 0.0, "limits": LIMITS} | duty)), ledger, Clicks(dataset(), ())
    )


def looked(*folders: Path, now_us: int = LATER_US, ledger: Path | None = None, since_us: int = START_US, **duty: Any) -> TrialState:
    with closing(TrialStore(ledger)) as kept:
        found = sentry(kept, *folders, **duty).look(3, 2, since_us=since_us, now_us=now_us)
        assert found is not None
        return found


def decisions(folder: Path, *exposures: Exposure, name: str = "decisions-1.jsonl") -> None:
    with (folder / name).open("ab") as file:
        file.write(json_lines([decision_row(each) for each in exposures]))


def clicks(folder: Path, *given: Interaction, name: str = "interactions-1.jsonl") -> None:
    with (folder / name).open("ab") as file:
        file.write(json_lines([EventRows(dataset()).interaction(each) for each in given]))


def of(side: str, n: int, version: int | None = None, **changed: Any) -> Exposure:
    kind = replace(GOOD, slow=0.0)
    version = (3 if side == "canary" else 2) if version is None else version
    return replace(told(side, version, kind, n=n, rng=np.random.default_rng(0))[0], **changed)


def click(n: int, after_s: float = 5.0) -> Interaction:
    return Interaction(time_us=START_US + n * STEP_US + int(after_s * 1e6), shopper=f"u{n}", action="click", item="a", request=f"r{n}")


def counts(standing: TrialState, side: str) -> tuple[int, ...]:
    """Requests, errors, slow, settled and clicked in blocks that are complete."""
    tally = getattr(standing.test, side)
    return tuple(int(getattr(tally, name)) for name in ("requests", "errors", "slow", "settled", "clicked"))


@pytest.mark.parametrize(
    ("canary", "decision", "why", "most"),
    [
        (Side(clicked=0.1), "roll back", "requests clicked", 600),
        (Side(failed=0.3), "roll back", "requests failed", 200),
        (Side(slow=0.3), "roll back", "requests slow", 200),
        (Side(mean=0.7), "roll back", "the scores are distributed otherwise", 400),
        (Side(clicked=0.35), "promote", "proven at 0.05", 1200),
    ],
)
def test_a_planted_canary_gets_its_verdict(tmp_path: Path, canary: Side, decision: str, why: str, most: int) -> None:
    write(tmp_path, stream(canary, requests=6_000, seed=5))
    standing = looked(tmp_path)
    assert standing.outcome is not None
    assert (standing.outcome.decision, why in standing.outcome.reason) == (decision, True), standing.outcome
    # Answers are read first, all there are; so by clicks it is the settled ones that it took.
    assert (standing.test.canary.settled if "clicked" in why or decision == "promote" else standing.test.canary.requests) <= most


@pytest.mark.parametrize("seed", range(5))
def test_a_canary_that_is_as_good_is_not_rolled_back(tmp_path: Path, seed: int) -> None:
    write(tmp_path, stream(GOOD, requests=3_000, seed=seed))
    standing = looked(tmp_path)
    assert standing.outcome is None or standing.outcome.decision == "promote"


def test_however_the_log_is_read_the_same_is_counted(tmp_path: Path) -> None:
    write(tmp_path / "log", stream(Side(clicked=0.15), requests=1_500, seed=1), rotate_bytes=30_000)
    whole = looked(tmp_path / "log")
    assert whole.test.canary.settled > 200
    (tmp_path / "grows").mkdir()
    standing = None
    for part in range(7):  # each time some files more, and pieces of lines of the others
        for path in (tmp_path / "log").glob("*.jsonl"):
            content = path.read_bytes()
            written = content[: len(content) * (part + 1) // 7]
            (tmp_path / "grows" / f"{path.name}.open").write_bytes(written)
            if part == 6:
                (tmp_path / "grows" / f"{path.name}.open").rename(tmp_path / "grows" / path.name)
        now_us = LATER_US if part == 6 else START_US  # so that a request is settled when its click is there
        standing = looked(tmp_path / "grows", ledger=tmp_path / "guard.sqlite", now_us=now_us)
    assert standing is not None
    assert counts(standing, "canary")[3:] == counts(whole, "canary")[3:]
    assert sum(counts(standing, side)[0] for side in ("canary", "stable")) == sum(counts(whole, s)[0] for s in ("canary", "stable"))
    assert standing.unreadable == 0


def test_a_look_at_what_is_read_already_counts_nothing(tmp_path: Path) -> None:
    write(tmp_path, stream(GOOD, requests=500, seed=1))
    first, second = (looked(tmp_path, ledger=tmp_path / "guard.sqlite") for _ in range(2))
    assert sum(counts(first, "stable")) > 0
    for side in ("canary", "stable"):
        assert counts(first, side) == counts(second, side)


def test_half_a_line_waits_for_its_end_and_a_torn_one_in_the_middle_is_told(tmp_path: Path) -> None:
    whole = json_lines([decision_row(of("stable", 1))])
    (tmp_path / "decisions-1.jsonl.open").write_bytes(b'{"request": "r\n' + whole[:30])
    first = looked(tmp_path, ledger=tmp_path / "guard.sqlite", block=1)
    assert (counts(first, "stable")[0], first.unreadable) == (0, 1)
    with (tmp_path / "decisions-1.jsonl.open").open("ab") as file:
        file.write(whole[30:])
    second = looked(tmp_path, ledger=tmp_path / "guard.sqlite", block=1)
    assert (counts(second, "stable")[0], second.unreadable) == (1, 1)


def test_a_file_that_was_written_anew_is_read_on_from_a_lines_beginning(tmp_path: Path) -> None:
    (tmp_path / "decisions-1.jsonl").write_bytes(b"a\nbb\nccc\n")
    (chunk,) = read_new_lines([tmp_path], "decisions", {"decisions-1": 1})
    assert (chunk.lines, chunk.end) == ([b"bb\n", b"ccc\n"], 9)
    assert list(read_new_lines([tmp_path], "decisions", {"decisions-1": 9})) == []
    assert list(read_new_lines([tmp_path], "decisions", {"decisions-1": 99})) == []
    assert list(read_new_lines([tmp_path], "interactions", {})) == []


def test_the_size_of_what_is_skipped_ends_with_a_line(tmp_path: Path) -> None:
    (tmp_path / "decisions-1.jsonl").write_bytes(b"a" * 100_000 + b"\n" + b"b" * 70_000)
    (tmp_path / "decisions-2.jsonl.open").write_bytes(b"half")
    assert complete_sizes([tmp_path], "decisions") == {"decisions-1": 100_001, "decisions-2": 0}


def test_a_shopper_counts_once_in_the_trial_and_once_more_in_each_stretch(tmp_path: Path) -> None:
    mine = [of("canary", n, shopper="u") for n in range(4)]
    decisions(tmp_path, *mine, of("stable", 4), of("canary", 5, shopper="u"), of("stable", 6), of("stable", 7), of("stable", 8))
    clicks(tmp_path, replace(click(1), shopper="u"), click(4))  # the shopper's second request, which isn't the one that counts
    standing = looked(tmp_path, block=2, stretch=5)
    assert counts(standing, "canary") == (1, 0, 0, 1, 0)
    assert counts(standing, "stable") == (3, 0, 0, 3, 1)  # r8 waits for the block's other one
    stretch = standing.test.stretch
    assert (stretch.number, stretch.canary.requests, stretch.stable.requests) == (2, 1, 3)


def test_shoppers_who_come_again_raise_no_false_alarm_and_prove_nothing_false(tmp_path: Path) -> None:
    """Of 80 shoppers who come 15 times a tenth are always slow, of both versions: requests aren't independent, neither version is worse."""
    decided = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        tried, slow = rng.random(80) < 0.5, rng.random(80) < 0.1
        come = np.concatenate([rng.permutation(80) for _ in range(15)]).tolist()
        given = [of("canary" if tried[u] else "stable", n, shopper=f"u{u}", model_ms=80.0 if slow[u] else 4.0) for n, u in enumerate(come)]
        (folder := tmp_path / str(seed)).mkdir()
        decisions(folder, *given)
        found = looked(folder, now_us=START_US, block=40, stretch=400).outcome
        decided.append(None if found is None else found.decision)
    assert decided == [None] * 12


def test_a_version_that_begins_to_fail_is_found_where_nobody_new_comes(tmp_path: Path) -> None:
    """Two hundred shoppers have all come before the first request of the canary fails."""
    given = []
    for n, shopper in enumerate(np.random.default_rng(0).integers(200, size=2_400).tolist()):
        side = "canary" if shopper % 2 else "stable"
        failing = {"version": "", "degraded": "popularity", "scores": None} if side == "canary" and n >= 1_200 else {}
        given.append(of(side, n, shopper=f"u{shopper}", **failing))
    decisions(tmp_path, *given)
    found = looked(tmp_path, now_us=START_US, block=20, stretch=400).outcome
    assert found is not None
    assert found.decision == "roll back"
    assert found.reason.startswith("in the present stretch ")


def test_a_click_counts_within_its_window_only_and_not_before_the_request_is_settled(tmp_path: Path) -> None:
    decisions(tmp_path, of("canary", 0), of("canary", 1), of("stable", 2), of("stable", 3))
    clicks(tmp_path, click(0, 59.0), click(1, 61.0), click(2, 1.0), click(2, 2.0))
    early = looked(tmp_path, ledger=tmp_path / "guard.sqlite", block=4, late_s=7.0, now_us=START_US + 67_200_000)
    assert counts(early, "stable")[3] == 0
    late = looked(tmp_path, ledger=tmp_path / "guard.sqlite", block=4, late_s=7.0, now_us=START_US + 67_300_000)
    assert (counts(late, "canary")[3:], counts(late, "stable")[3:]) == ((2, 1), (2, 1))


def test_shoppers_who_share_a_requests_id_are_told_apart(tmp_path: Path) -> None:
    same: dict[str, Any] = {"request": "1"}
    decisions(tmp_path, of("canary", 0, **same), of("stable", 1, **same), of("canary", 2), of("stable", 3))
    clicks(tmp_path, replace(click(1), **same), replace(click(2), shopper="account"))  # after a login
    clicks(tmp_path, replace(click(0), shopper="account", **same))  # nobody can say whose list that was
    standing = looked(tmp_path, block=4)
    assert (counts(standing, "canary")[3:], counts(standing, "stable")[3:]) == ((2, 1), (2, 1))


def test_an_id_that_comes_again_after_a_pause_or_in_another_visit_is_another_request(tmp_path: Path) -> None:
    at_us = lambda second: START_US + second * 1_000_000  # noqa: E731
    mine = [of("canary", 0, time_us=at_us(second), session=visit) for second, visit in ((0, "a"), (4, "a"), (20, "a"), (21, "b"))]
    (tmp_path / "log").mkdir()
    decisions(tmp_path / "log", *mine, of("stable", 1))
    for second, visit, found in ((3, "a", 1), (9, "a", 1), (25, "a", 0), (5, "b", 1), (22, "b", 0), (25, "", 0)):
        folder = tmp_path / f"{second}{visit}"
        folder.mkdir()
        clicks(folder, replace(click(0), time_us=at_us(second), session=visit))
        assert counts(looked(tmp_path / "log", folder, block=2, gap_s=10.0), "canary")[3:] == (1, found), (second, visit)


def test_a_ledger_that_knew_requests_by_their_ids_alone_is_begun_anew_from_the_log(tmp_path: Path) -> None:
    decisions(tmp_path, of("canary", 0), of("stable", 1))
    clicks(tmp_path, click(0))
    with closing(sqlite3.connect(tmp_path / "guard.sqlite")) as old:
        old.executescript(
            "CREATE TABLE files (name TEXT PRIMARY KEY, read INTEGER NOT NULL); INSERT INTO files VALUES ('decisions-1', 10000000);"
            "CREATE TABLE waiting (request TEXT PRIMARY KEY); CREATE TABLE clicks (request TEXT, time INTEGER)"
        )
    assert counts(looked(tmp_path, ledger=tmp_path / "guard.sqlite", block=2), "canary")[3:] == (1, 1)


def test_clicks_are_those_of_the_actions_that_are_named(tmp_path: Path) -> None:
    row = json.loads(json_lines([EventRows(dataset()).interaction(click(0))]))
    shown = json_lines([row, row | {"action": "view"}, row | {"request": None}]).splitlines()
    assert Clicks(dataset(), ()).parse([*shown, b"{"]) == ([Click("r0", "u0", "", click(0).time_us)], 1)
    assert Clicks(dataset(), ("show",)).parse(shown)[0] == [Click("r0", "u0", "", click(0).time_us)]
    with pytest.raises(InputError, match="the dataset file has no action 'clack'"):
        Clicks(dataset(), ("clack",))


def test_what_a_line_is_to_the_trial() -> None:
    def line(*given: Any, **changed: Any) -> bytes:
        return json_lines([decision_row(of(*given, **changed))])

    def found(text: bytes) -> Any:
        return parse_request(text, TRIAL, slow_ms=50)

    well = found(line("canary", 1, model_ms=51.0))
    assert (well.request, well.shopper, well.side) == ("r1", "u1", "canary")
    assert (float(well.counts.errors), float(well.counts.slow), float(well.counts.scores.sum())) == (0, 1, 4)
    failed = found(line("canary", 1, version="2", degraded="previous (canary: rubbish); state"))
    assert (float(failed.counts.errors), float(failed.counts.scores.sum())) == (1, 0)
    assert float(found(line("canary", 1, degraded="state")).counts.errors) == 0
    assert found(line("canary", 1, version="7")) is None  # another release than the one on trial
    assert found(line("stable", 1, shopper="")) is None
    assert found(line("", 1)) is None
    assert found(line("stable", 1, time_us=START_US - 1)) is None
    for broken in (b"[]\n", b"{}\n", b"x\n", json_lines([decision_row(of("canary", 1)) | {"scores": "none"}])):
        with pytest.raises(ValueError, match=r"line of `decisions`|expected an object|Expecting value|could not convert"):
            found(broken)


def test_logs_of_several_services_are_one(tmp_path: Path) -> None:
    for number, name in enumerate(("one", "two")):
        (tmp_path / name).mkdir()
        decisions(tmp_path / name, of("stable", 2 * number), of("canary", 2 * number + 1), name=f"decisions-{name}.jsonl")
    clicks(tmp_path / "one", click(3))
    standing = looked(tmp_path / "one", tmp_path / "two", block=4)
    assert (counts(standing, "canary"), counts(standing, "stable")) == ((2, 0, 0, 2, 1), (2, 0, 0, 2, 0))


def test_another_version_under_the_label_is_another_trial(tmp_path: Path) -> None:
    decisions(tmp_path, of("canary", 0), of("stable", 1))
    with closing(TrialStore(None)) as ledger:
        watching = sentry(ledger, tmp_path, block=2)
        first = watching.look(3, 2, since_us=START_US, now_us=LATER_US)
        assert first is not None
        assert counts(first, "canary")[0] == 1
        since_us = START_US + 3 * STEP_US
        decisions(tmp_path, of("canary", 2, version=4), of("canary", 3), of("canary", 4, version=4), of("stable", 5))
        second = watching.look(4, 2, since_us=since_us, now_us=LATER_US)
        assert second is not None
        assert (second.trial, counts(second, "canary")[0], counts(second, "stable")[0]) == (Trial(4, 2, since_us), 1, 1)
        # None on trial: what comes meanwhile isn't read later on.
        assert watching.look(2, 2, since_us=since_us, now_us=LATER_US) is None
        decisions(tmp_path, of("canary", 6, version=4), of("stable", 7))
        assert watching.look(None, 2, since_us=since_us, now_us=LATER_US) is None
        third = watching.look(4, 2, since_us=since_us, now_us=LATER_US)
        assert third is not None
        assert (counts(third, "canary")[0], third.answered.size) == (0, 0)


def test_a_trial_that_has_its_verdict_is_left_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, stream(Side(failed=0.5), requests=1_000, seed=1))
    first = looked(tmp_path, ledger=tmp_path / "guard.sqlite")
    assert first.outcome is not None
    write(tmp_path, stream(GOOD, requests=1_000, seed=2))
    second = looked(tmp_path, ledger=tmp_path / "guard.sqlite", now_us=LATER_US + 1)
    assert (second.outcome, second.ended_us) == (first.outcome, first.ended_us)
    assert counts(second, "canary") == counts(first, "canary")


def test_a_file_that_is_no_ledger_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "guard.sqlite").write_text("something else, and long enough to be read as a page of a database" * 100)
    with pytest.raises(ShelfRankError, match=r"guard\.sqlite: expected the guard's ledger"):
        TrialStore(tmp_path / "guard.sqlite")


@pytest.fixture(autouse=True)
def _no_nan() -> Iterator[None]:
    with np.errstate(all="raise", under="ignore"):
        yield


@pytest.mark.parametrize("wrong", [{"block": 0}, {"click_s": 0.0}, {"slow_ms": -1.0}, {"late_s": -1.0}])
def test_a_duty_that_makes_no_sense_is_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"the guard's {next(iter(wrong))}"):
        MonitorSettings(logs=[], **wrong)


def test_a_folder_of_logs_is_followed_with_those_that_appear_later(tmp_path: Path) -> None:
    """As of services that come and go: each has a folder of its own under the one that the guard is told."""
    ledger, logs = tmp_path / "guard.sqlite", tmp_path / "logs"
    told = list(stream(GOOD, requests=900, seed=3))
    apart = {"ranking-a": told[:300], "ranking-b": told[300:600], "ranking-c": told[600:]}
    write(tmp_path / "one", iter(told))
    logs.mkdir()
    counted = []
    for name, part in apart.items():
        write(logs / name, iter(part))
        counted.append(counts(looked(logs, ledger=ledger), "stable")[0] + counts(looked(logs, ledger=ledger), "canary")[0])
    assert 0 < counted[0] < counted[1] < counted[2]
    whole = looked(tmp_path / "one")
    assert counted[2] == sum(counts(whole, side)[0] for side in ("canary", "stable"))
