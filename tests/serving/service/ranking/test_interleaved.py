"""An arm that interleaves: the list has both rankers' picks, rules hold, and the log says who placed what."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.serving.service.conftest import Started
from tests.serving.service.little_shop import ITEMS
from tests.serving.service.running import Service

EXPERIMENTS = """
salt: little
layers:
  - name: ranker
    experiments:
      - name: pair
        traffic: 100%
        arms:
          - name: both
            share: 100%
            interleave: {teams}
"""
RULES = """
sets:
  default:
    - {name: recalled, kind: filter, items: [p5]}
    - {name: first, kind: pin, place: 2, items: [p1]}
"""
MODELS = "[{name: usual}, {name: other, model: previous}]"  # dear first, cheap first


@pytest.fixture
def interleaving(started: Started, tmp_path: Path) -> Any:
    def start(teams: str, rules: str = "sets: {}") -> Service:
        (tmp_path / "experiments.yaml").write_text(EXPERIMENTS.format(teams=teams))
        (tmp_path / "rules.yaml").write_text(rules)
        places = {"experiments": tmp_path / "experiments.yaml", "rules": tmp_path / "rules.yaml", "log": tmp_path / "log"}
        return started(places=places)

    return start


def decisions(folder: Path) -> dict[str, dict[str, Any]]:
    lines = [line for path in sorted(folder.glob("decisions-*.jsonl")) for line in path.read_text().splitlines()]
    return {row["request"]: row for row in map(json.loads, lines)}


def test_both_rankers_place_candidates_in_turn(interleaving: Any) -> None:
    service = interleaving(MODELS)
    orders = [service.rank(*ITEMS, shopper="a", request=f"r{number}") for number in range(20)]
    assert {tuple(sorted(answer["order"])) for answer in orders} == {tuple(ITEMS)}
    assert {answer["order"][0] for answer in orders} == {"p5", "p0"}
    assert {frozenset(answer["order"][:2]) for answer in orders} == {frozenset({"p5", "p0"})}
    assert {(answer["rung"], answer["version"], answer["label"], answer["degraded"]) for answer in orders} == {
        ("interleaved", None, "", False)
    }
    assert service.rank(*ITEMS, shopper="a", request="r3")["order"] == orders[3]["order"]
    assert service.rank(*ITEMS)["rung"] == "model"  # a guest is in no experiment


def test_the_log_says_which_team_placed_each_candidate(interleaving: Any, tmp_path: Path) -> None:
    service = interleaving(MODELS)
    answers = [service.rank(*ITEMS, shopper="a", request=f"r{number}", places=3) for number in range(10)]
    assert service.counted('shelfrank_shown_total{served_by="interleaved"}') == 10
    service.stop()
    logged = decisions(tmp_path / "log")
    for answer in answers:
        row = logged[answer["request"]]
        record = row["interleaved"]
        assert (record["experiment"], record["teams"], record["versions"]) == ("pair", ["usual", "other"], ["2", "1"])
        order = [row["items"][index] for index in row["order"]]
        assert order == answer["order"]
        assert order[0] == ("p5", "p0")[record["placed"][0]]  # each team's first
        assert [sorted(record["placed"][first : first + 2]) for first in (0, 2, 4)] == [[0, 1]] * 3
        assert (row["scores"], row["label"], row["version"], row["arms"]) == (None, "", "", {"pair": "both"})
        assert [max(range(6), key=scores.__getitem__) for scores in record["scores"]] == [5, 0]


def test_rules_hold_and_what_they_pin_is_no_teams(interleaving: Any, tmp_path: Path) -> None:
    service = interleaving(MODELS, RULES)
    answers = [service.rank(*ITEMS, shopper="a", request=f"r{number}", exclude=["p0"]) for number in range(10)]
    service.stop()
    logged = decisions(tmp_path / "log")
    for answer in answers:
        assert answer["order"][2] == "p1"
        assert sorted(answer["order"]) == ["p1", "p2", "p3", "p4"]
        placed = logged[answer["request"]]["interleaved"]["placed"]
        assert placed[2] is None
        assert sorted(placed[:2]) == [0, 1]
        assert answer["order"][0] == ("p4", "p2")[placed[0]]  # the best of either that can be shown


def test_a_baseline_may_be_a_team(interleaving: Any, tmp_path: Path) -> None:
    service = interleaving("[{name: model}, {name: kept, baseline: keep-order}]")
    assert service.rank("p1", "p0", "p5", shopper="a")["order"][:2] in (["p5", "p1"], ["p1", "p5"])
    service.stop()
    ((_, row),) = decisions(tmp_path / "log").items()
    assert row["interleaved"]["versions"] == ["2", ""]


@pytest.mark.parametrize(
    ("failing", "version"),
    [("[{name: usual}, {name: other, model: nan}]", 2), ("[{name: other, model: nan}, {name: old, model: previous}]", 1)],
)
def test_where_a_teams_ranker_fails_the_other_ranks_alone_and_nothing_is_compared(
    interleaving: Any, tmp_path: Path, failing: str, version: int
) -> None:
    service = interleaving(failing)
    answer = service.rank(*ITEMS, shopper="a", request="r")
    assert answer["order"] == (ITEMS[::-1] if version == 2 else ITEMS)
    assert (answer["rung"], answer["version"], answer["reason"], answer["label"]) == ("model", version, "model (nan: rubbish)", "")
    service.stop()
    row = decisions(tmp_path / "log")["r"]
    assert "interleaved" not in row
    assert row["version"] == str(version)
