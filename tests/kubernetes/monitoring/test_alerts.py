"""Each alert fires when it should and is silent when not: `promtool test rules` on series made up for it."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

MONITORING = Path(__file__).resolve().parents[3] / "kubernetes" / "monitoring"
RULES = MONITORING / "plain" / "rules.yaml"
Series = dict[str, str]  # as promtool writes it: a+bxN is a, a+b, ..., one a minute

RANKED = 'shelfrank_ranked_total{namespace="s",label="stable",rung="model",instance="a"}'
DEGRADED = 'shelfrank_degraded_orders_total{namespace="s",label="stable",instance="a"}'
SECONDS = 'shelfrank_request_seconds_bucket{namespace="s",door="rest",route="/v1/rank",le="%s"}'
ANSWERS = 'shelfrank_answers_total{namespace="s",door="rest",route="/v1/rank",status="%s"}'
FAILING = 'shelfrank_failing{namespace="s",what="%s"}'
LOG = 'shelfrank_log_records{namespace="s",fate="%s"}'
SCORES = 'shelfrank_scores_total{namespace="s",label="stable",version="%s",bin="%s"}'
SERVED = 'shelfrank_model_version{namespace="s",label="stable",instance="a"}'
LABELLED = 'shelfrank_guard_label_version{namespace="s",label="stable"}'
DECIDED = 'shelfrank_guard_decisions_total{namespace="s",decision="%s"}'
MADE = 'shelfrank_guard_newest_release_timestamp_seconds{namespace="s"}'
WAITING = 'shelfrank_stream_lag_messages{namespace="s",partition="%s",instance="%s"}'
APPLIED = 'shelfrank_stream_messages_total{namespace="s",outcome="counted",instance="a"}'
LOST = 'shelfrank_stream_lost_messages_total{namespace="s",partition="events/0",instance="a"}'
GROUPS = 'shelfrank_stream_groups_lost_total{namespace="s",instance="a"}'
DEAD = 'shelfrank_stream_dead_letters_total{namespace="s",reason="unknown action",instance="a"}'
RETRIED = 'shelfrank_stream_retries_total{namespace="s",what="state",instance="a"}'
RETRAIN = "shelfrank_retrain_%s"
UP = 'up{job="%s",instance="%s"}'


def slow(in_time: int) -> Series:
    """Of 100 orders a minute so many within the deadline of 100 ms."""
    buckets = {SECONDS % "0.1": f"0+{in_time}x40", SECONDS % "0.15": "0+100x40", SECONDS % "+Inf": "0+100x40"}
    return buckets | {'shelfrank_deadline_seconds{namespace="s"}': "0.1x40"}


def degraded(of_hundred: int, minutes: int) -> Series:
    return {RANKED: f"0+100x{minutes}", DEGRADED: f"0+{of_hundred}x{minutes}", ANSWERS % "200": f"0+100x{minutes}"}


def scores(*, moved: bool, orders: int) -> Series:
    """26 hours in one bin, then one in another, or not; and a version that begins when the first one is a day old."""
    before, after = ("0+1000x1560 1560000+0x60", "0+0x1560 0+1000x60") if moved else ("0+1000x1620", "0+1000x1620")
    return {SCORES % (1, "0.10"): before, SCORES % (1, "0.60"): after, RANKED: f"0+{orders}x1620"}


# By alert: the minute at which it is looked at, series with which it fires, and several with which it doesn't.
CASES: dict[str, tuple[int, Series, list[Series]]] = {
    "RankingSlow": (20, slow(98), [slow(100)]),
    "AnswersFailing": (
        12,
        {ANSWERS % "200": "0+97x20", ANSWERS % "503": "0+3x20", ANSWERS % "429": "0+900x20"},
        [{ANSWERS % "200": "0+97x20", ANSWERS % "429": "0+50x20"}, {ANSWERS % "200": "0+999x20", ANSWERS % "503": "0+1x20"}],
    ),
    "OrdersDegraded": (20, degraded(6, 30), [degraded(4, 30)]),
    "BudgetBurnsFast": (60, degraded(16, 70), [degraded(12, 70), {RANKED: "0+100x70", DEGRADED: "0+100x20 2000+0x50"}]),
    "BudgetBurns": (60, degraded(8, 70), [degraded(5, 70)]),
    "BudgetBurnsSlowly": (90, degraded(2, 100), [degraded(0, 100)]),
    "ModelFailing": (
        5,
        {FAILING % "stable": "1x10"},
        [
            {FAILING % "stable": "0x10", FAILING % "state": "1x10", FAILING % "log": "1x10", FAILING % "shop files": "1x10"},
            {FAILING % "stable": "1x1 0x9", FAILING % "empty state": "1x10"},
        ],
    ),
    "TargetDown": (10, {UP % ("guard", "a"): "1x2 0x20"}, [{UP % ("guard", "a"): "1x20", UP % ("another", "a"): "0x20"}]),
    "RankingGone": (10, {UP % ("ranking", "a"): "0x20"}, [{UP % ("ranking", "a"): "0x20", UP % ("ranking", "b"): "1x20"}]),
    "ModelServerGone": (10, {UP % ("ranking", "a"): "1x20"}, [{UP % ("model-server", "a"): "1x20"}]),
    "StateFailing": (5, {FAILING % "state": "1x10"}, [{FAILING % "state": "0x10", FAILING % "stable": "1x10"}]),
    "GoesWithout": (
        15,
        {FAILING % "empty state": "1x20"},
        [{FAILING % "empty state": "0x20", FAILING % "shop files": "1x2 0x18", FAILING % "stable": "1x20"}],
    ),
    "ClicksRefused": (
        15,
        {LOG % "interactions_refused": "0+1x20"},
        [{LOG % "interactions_refused": "5x20", LOG % "interactions_committed": "0+9x20"}],
    ),
    "DecisionsDropped": (
        15,
        {LOG % "exposures_dropped_disk": "0+1x20"},
        [{LOG % "exposures_dropped_disk": "5x20", LOG % "shadows_dropped": "0+1x20", LOG % "exposures_written": "0+9x20"}],
    ),
    "ScoresDrifted": (
        1615,
        scores(moved=True, orders=600),
        [scores(moved=False, orders=600), scores(moved=True, orders=10), {SCORES % (2, "0.60"): "_x1560 0+1000x60", RANKED: "0+600x1620"}],
    ),
    "NoNewRelease": (120, {MADE: "-691200x130"}, [{MADE: "0x130"}]),
    "LabelNotServed": (
        30,
        {SERVED: "1x40", LABELLED: "2x40", RANKED: "0+9x40"},
        [{SERVED: "2x40", LABELLED: "2x40", RANKED: "0+9x40"}, {SERVED: "1x40", LABELLED: "2x40", RANKED: "9x40"}],
    ),
    "CanaryRolledBack": (10, {DECIDED % "roll back": "0x5 1x10"}, [{DECIDED % "roll back": "1x15", DECIDED % "promote": "0x5 1x10"}]),
    "GuardWaits": (15, {'shelfrank_guard_unmoved{namespace="s"}': "1x20"}, [{'shelfrank_guard_unmoved{namespace="s"}': "1x3 0x20"}]),
    "RetrainFrozen": (
        5,
        {RETRAIN % 'state{namespace="s",state="frozen"}': "0x2 1x9"},
        [{RETRAIN % 'state{namespace="s",state="frozen"}': "0x9", RETRAIN % 'state{namespace="s",state="idle"}': "1x9"}],
    ),
    "RetrainFails": (
        10,
        {RETRAIN % 'failed_trainings_total{namespace="s"}': "1x5 2x10"},
        [{RETRAIN % 'failed_trainings_total{namespace="s"}': "1x15", RETRAIN % 'cycles_total{namespace="s",outcome="refused"}': "0+1x15"}],
    ),
    "RetrainStale": (
        120,
        {RETRAIN % 'last_success_timestamp_seconds{namespace="s"}': "-691200x130"},
        [
            {RETRAIN % 'last_success_timestamp_seconds{namespace="s"}': "0x130"},
            {
                RETRAIN % 'last_success_timestamp_seconds{namespace="s"}': "-691200x130",
                RETRAIN % 'started_timestamp_seconds{namespace="s"}': "0x130",
            },
        ],
    ),
    # 600 a minute are applied. What waits grows; or it is less than a minute's work, or shrinks.
    "StreamLagging": (
        30,
        {WAITING % ("events/0", "a"): "0+100x40", WAITING % ("events/1", "a"): "0+100x40", APPLIED: "0+600x40"},
        [
            {WAITING % ("events/0", "a"): "500x40", APPLIED: "0+600x40"},
            {WAITING % ("events/0", "a"): "90000-100x40", APPLIED: "0+600x40"},
            {WAITING % ("events/0", "a"): "0x40"},
        ],
    ),
    "StreamMessagesLost": (
        90,
        {LOST: "_x80 7x20"},
        [{LOST: "7x100"}, {LOST: "_x80 0x20"}, {WAITING % ("events/0", "a"): "0x100"}],
    ),
    "StreamStateLost": (30, {GROUPS: "0x20 5x20"}, [{GROUPS: "0x40"}, {GROUPS: "5x40"}]),
    "StreamDeadLetters": (
        40,
        {DEAD: "0+2x50", APPLIED: "0+98x50"},
        [{DEAD: "0+1x50", APPLIED: "0+999x50"}, {DEAD: "90x50", APPLIED: "0+98x50"}],
    ),
    "StreamRetrying": (20, {RETRIED: "0+12x30"}, [{RETRIED: "12x30"}, {RETRIED: "0+12x12 144x18"}]),
    "GuardNotLooking": (
        30,
        {'shelfrank_guard_looked_timestamp_seconds{namespace="s"}': "0x40"},
        [{'shelfrank_guard_looked_timestamp_seconds{namespace="s"}': "0+60x40"}],
    ),
}


def test_each_alert_has_a_case() -> None:
    alerts = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"] if "alert" in rule}
    assert alerts == {f"ShelfRank{name}" for name in CASES}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name == "ScoresDrifted" else name for name in CASES])
def test_it_fires_when_it_should_and_is_silent_when_not(name: str, tmp_path: Path) -> None:
    minute, fires, silent = CASES[name]
    tests = [_test(name, minute, fires, firing=True), *(_test(name, minute, each, firing=False) for each in silent)]
    _try(tests, tmp_path, every_minutes=5 if minute > 1000 else 1)


def test_a_further_loss_is_found_too(tmp_path: Path) -> None:
    _try([_test("StreamMessagesLost", 90, {LOST: "7x80 9x20"}, firing=True)], tmp_path)


def test_a_consumer_that_has_never_applied_a_message_lags_with_a_few(tmp_path: Path) -> None:
    _try([_test("StreamLagging", 30, {WAITING % ("events/0", "a"): "5x40"}, firing=True)], tmp_path)


def test_where_every_message_is_set_aside_the_dead_letters_are_all(tmp_path: Path) -> None:
    _try([_test("StreamDeadLetters", 40, {DEAD: "0+2x50"}, firing=True)], tmp_path)


def _try(tests: list[dict[str, Any]], folder: Path, *, every_minutes: int = 1) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("no promtool here (Debian's package prometheus has it): rules can't be tried")
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": f"{every_minutes}m", "tests": tests}))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _test(name: str, minute: int, series: Series, *, firing: bool) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": [{"series": each, "values": values} for each, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="ShelfRank{name}",alertstate="firing"}})',
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": 1}] if firing else [],
            }
        ],
    }
