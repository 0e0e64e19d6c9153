"""Clicks of a service that writes to a stream are read from its event log, and no request is settled before they are there."""

import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from components.contract.errors import RunError
from serving.exposure.event_types import Interaction
from serving.exposure.serialization import EventRows
from serving.guard.attribution import Click
from serving.guard.event_windows import complete_until_us, last_ends, new_windows
from serving.guard.log_parser import Clicks
from serving.guard.trial_store import TrialStore
from serving.stream.log.window_files import EVENTS, WindowFile, publish
from serving.stream.watermark import IDLE_S
from tests.serving.exposure.shop_log import dataset
from tests.serving.guard.stream import GOOD, START_US, Side, stream, write
from tests.serving.guard.test_monitor import LATER_US, click, counts, decisions, looked, of, sentry

NOW_S = LATER_US / 1e6


def window(folder: Path, begin: int, *given: Interaction, partition: str = "events/0", at_s: float = NOW_S, **changed: Any) -> Path:
    """Publish a window, as `shelfrank stream` does, of events from an offset on."""
    folder.mkdir(exist_ok=True)
    rows = [EventRows(dataset()).interaction(each) | changed for each in given]
    file = WindowFile(EVENTS, partition, begin, begin + max(len(rows), 1))
    publish(folder, file, pl.DataFrame(rows, infer_schema_length=None))
    os.utime(folder / file.name, (at_s, at_s))
    return folder / file.name


def split(folder: Path, canary: Side, *, requests: int) -> list[Interaction]:
    """Write the decisions of a trial to a log, and return the clicks."""
    told = list(stream(canary, requests=requests, seed=5))
    write(folder, ((exposure, None) for exposure, _ in told))
    return [click for _, click in told if click is not None]


def test_a_canary_is_judged_by_clicks_in_the_event_log_as_by_those_in_the_services(tmp_path: Path) -> None:
    write(tmp_path / "whole", stream(Side(clicked=0.1), requests=4_000, seed=5))
    given = split(tmp_path / "log", Side(clicked=0.1), requests=4_000)
    for at in range(0, len(given), 100):
        window(tmp_path / "events", at, *given[at : at + 100])
    window(tmp_path / "events", len(given), click(4_000, 1e6))
    expected, found = looked(tmp_path / "whole"), looked(tmp_path / "log", event_logs=[tmp_path / "events"])
    assert expected.outcome is not None
    assert found.outcome == expected.outcome
    assert found.outcome.decision == "roll back"
    assert "requests clicked" in found.outcome.reason


def test_each_window_is_read_once_whenever_it_comes(tmp_path: Path) -> None:
    given = split(tmp_path / "log", GOOD, requests=400)
    (tmp_path / "events").mkdir()
    for at in range(0, len(given), 10):
        window(tmp_path / "events", at, *given[at : at + 10])
        found = looked(tmp_path / "log", ledger=tmp_path / "guard.sqlite", event_logs=[tmp_path / "events"], block=400)
        assert found.outcome is None
    window(tmp_path / "events", len(given), click(400, 1e6))
    found = looked(tmp_path / "log", ledger=tmp_path / "guard.sqlite", event_logs=[tmp_path / "events"], block=400)
    assert sum(counts(found, side)[4] for side in ("canary", "stable")) == len(given)
    with closing(TrialStore(tmp_path / "guard.sqlite")) as ledger:
        assert list(new_windows([tmp_path / "events"], ledger.offsets())) == []


def test_no_request_is_settled_before_its_clicks_can_be_in_the_event_log(tmp_path: Path) -> None:
    """The consumer is behind, or doesn't run: by the clock the requests' time for a click was over long ago."""
    decisions(tmp_path, of("canary", 0), of("stable", 1))
    (tmp_path / "events").mkdir()
    options: dict[str, Any] = {"ledger": tmp_path / "guard.sqlite", "event_logs": [tmp_path / "events"], "block": 2}
    assert counts(looked(tmp_path, **options), "canary")[3] == 0
    window(tmp_path / "events", 0, click(0, 59.0))
    assert counts(looked(tmp_path, **options), "canary")[3] == 0
    window(tmp_path / "events", 1, click(5, 60.0))
    assert (counts(looked(tmp_path, **options), "canary")[3:], counts(looked(tmp_path, **options), "stable")[3:]) == ((1, 1), (1, 0))


def test_the_log_is_complete_up_to_the_partition_that_is_furthest_behind_but_not_an_idle_one(tmp_path: Path) -> None:
    def complete_s() -> float:
        return (complete_until_us([tmp_path], Clicks(dataset(), ()).time) - START_US) / 1e6

    assert complete_s() == -START_US / 1e6
    window(tmp_path, 0, click(0, 100.0), click(0, 80.0))
    window(tmp_path, 0, click(0, 50.0), partition="events/1")
    window(tmp_path, 0, click(0, 10.0), partition="events/2", at_s=NOW_S - IDLE_S - 1)
    assert complete_s() == 50
    window(tmp_path, 1, partition="events/1")  # in which nothing counted
    assert complete_s() == 50
    window(tmp_path, 2, click(0, 200.0), at_s=NOW_S + IDLE_S + 1)
    assert complete_s() == 200


def test_what_is_in_a_window(tmp_path: Path) -> None:
    parsed = Clicks(dataset(), ())
    given = click(0)
    assert parsed.read(window(tmp_path, 0, given, replace(given, action="search", item=""), replace(given, request=""))) == (
        [Click("r0", "u0", "", given.time_us)],
        0,
    )
    assert parsed.read(window(tmp_path, 9, given, time="2026-01-01T00:00:00Z")) == ([], 1)
    assert parsed.read(window(tmp_path, 19, given, time=str(given.time_us)))[0] == [Click("r0", "u0", "", given.time_us)]
    assert parsed.read(window(tmp_path, 29)) == ([], 0)
    path = window(tmp_path, 39)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(RunError, match="expected a window of `shelfrank stream`"):
        parsed.read(path)


def test_what_came_while_nothing_was_on_trial_is_skipped(tmp_path: Path) -> None:
    window(tmp_path / "events", 0, click(0), click(1))
    with closing(TrialStore(None)) as ledger:
        assert sentry(ledger, tmp_path, event_logs=[tmp_path / "events"]).look(2, 2, since_us=START_US, now_us=LATER_US) is None
        assert last_ends([tmp_path / "events"]).items() <= ledger.offsets().items()
        assert list(new_windows([tmp_path / "events"], ledger.offsets())) == []


def test_the_guards_image_needs_no_polars() -> None:
    code = "import sys; sys.modules['polars'] = None; import serving.guard.monitor"
    subprocess.run([sys.executable, "-c", code], check=True)
