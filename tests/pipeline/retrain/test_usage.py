"""What trainings took and what was rolled back, from the files beside a run."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from components.contract.errors import ShelfRankError
from pipeline.results.result import RunResult, StepTime, write_result
from pipeline.retrain.usage import read_rollbacks, read_usage

START, UNTIL = date(2026, 3, 1), date(2026, 4, 1)
DECISION: Mapping[str, Any] = {"action": "retrain warm", "reasons": []}


def write_lines(file: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def cycle(number: int, day: str, *, processor: float | None) -> list[Mapping[str, Any]]:
    """The lines of a training of 100 seconds."""
    begun = {"event": "decided", "triggers": {}, "decision": DECISION, "data_until": "", "parent": None}
    trained = {"event": "trained", "release": 1, "window": {}, "metrics": {}, "run": "", "sentences": []}
    cost = {"seconds": 100.0, "processor_seconds": processor}
    return [
        {"time": f"{day}T03:00:00+00:00", "cycle": number, **begun},
        {"time": f"{day}T03:02:00+00:00", "cycle": number, **trained, **cost},
    ]


def write_run(root: Path, made_at: str) -> None:
    steps = (StepTime("ingest", "ran", 40.0), StepTime("train", "ran", 20.0))
    result = RunResult("name: shop", made_at, "baseline", 1, (), {}, (), None, {}, steps)
    write_result(result, root / "last_run.json")


def test_trainings_of_the_period_are_summed_with_and_without_a_record(tmp_path: Path) -> None:
    lines = [*cycle(1, "2026-02-28", processor=1.0), *cycle(2, "2026-03-01", processor=150.0), *cycle(3, "2026-03-31", processor=None)]
    write_lines(tmp_path / "retrain" / "ledger.jsonl", [*lines, *cycle(4, "2026-04-01", processor=1.0)])
    usage = read_usage(tmp_path, START, UNTIL)
    assert (usage.trainings, usage.seconds, usage.core_seconds, usage.unrecorded_seconds) == (2, 200.0, 150.0, 100.0)
    assert usage.stored_bytes == (tmp_path / "retrain" / "ledger.jsonl").stat().st_size
    assert usage.source == f"{tmp_path.name}/retrain/ledger.jsonl, size of the folder {tmp_path.name}"


@pytest.mark.parametrize(
    ("made_at", "trainings", "unrecorded"),
    [
        ("2026-03-01T03:01:50+00:00", 1, 0.0),  # the cycle's own
        ("2026-03-09T12:00:00+00:00", 2, 60.0),
        ("2026-04-01T00:00:00+00:00", 1, 0.0),  # after the period
    ],
)
def test_the_last_run_counts_unless_a_cycle_made_it(tmp_path: Path, made_at: str, trainings: int, unrecorded: float) -> None:
    write_lines(tmp_path / "retrain" / "ledger.jsonl", cycle(1, "2026-03-01", processor=150.0))
    write_run(tmp_path, made_at)
    usage = read_usage(tmp_path, START, UNTIL)
    assert (usage.trainings, usage.unrecorded_seconds) == (trainings, unrecorded)


def test_an_empty_folder_took_nothing(tmp_path: Path) -> None:
    usage = read_usage(tmp_path, START, UNTIL)
    assert (usage.trainings, usage.seconds, usage.stored_bytes) == (0, 0.0, 0)


def test_rollbacks_are_read_with_their_clicks_where_the_journal_has_them(tmp_path: Path) -> None:
    entry = {"decided": "2026-03-05T23:30:00-02:00", "canary": 7, "reason": "worse", "decision": "roll back", "done": True}
    counts = {"settled": {"canary": 100, "stable": 900}, "clicked": {"canary": 5, "stable": 90}}
    others = [{**entry, **counts, "decision": "promote"}, {**entry, **counts, "done": False}]
    write_lines(tmp_path / "guard.jsonl", [*others, {**entry, "settled": counts["settled"]}, {**entry, **counts}])
    former, latest = read_rollbacks(tmp_path)
    assert former.clicked is None
    assert (latest.day, latest.release, latest.clicked, latest.stable_clicked) == (date(2026, 3, 6), 7, (5, 100), (90, 900))


def test_a_line_that_is_none_is_named(tmp_path: Path) -> None:
    write_lines(tmp_path / "guard.jsonl", [{"decision": "roll back", "done": True}])
    with pytest.raises(ShelfRankError, match=r"guard.jsonl:1: expected a line of the guard's journal"):
        read_rollbacks(tmp_path)
