"""From the files of an exposure log to a report: what is counted, what is said of faults, and what bad input is told."""

import json
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks.experiment import faults
from benchmarks.experiment.files import experiment_text, planted_dataset, write_log
from benchmarks.experiment.shop import FIRST_US, Effect, ShopConfig, ShopLog, whole_log
from components.contract.errors import InputError
from components.experiment.experiment_file import load_experiment_file
from components.experiment.metrics import outcome_actions
from components.experiment.report.html_page import render
from components.experiment.report_schema import FILE, ExperimentReport, read_report
from components.experiment.shoppers import build_shoppers
from pipeline.cli.main import main
from pipeline.experiment.log_window import log_window
from pipeline.experiment.read_log import read_totals
from pipeline.experiment.report import report_experiment
from pipeline.experiment.shopper_lists import LogQuery

NOW = datetime(2026, 2, 1, tzinfo=UTC)
SHARES = {"control": 0.5, "treatment": 0.5}
CONFIG = ShopConfig(shoppers=1500, effect=Effect(click=1.3, buy=1.1), seed=7)


def write(folder: Path, log: ShopLog, lines: str = "", shares: dict[str, float] | None = None) -> Path:
    """A shop's folder with its log and the experiment's file."""
    planted_dataset(folder)
    write_log(log, folder / "log", name="1")
    (folder / "experiment.yaml").write_text(experiment_text(shares=shares or SHARES, lines=lines))
    return folder / "experiment.yaml"


def report(path: Path) -> ExperimentReport:
    return report_experiment(path, now=NOW, say=lambda _: None)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("shop"), whole_log(CONFIG))


def totals_by_hand(folder: Path, shares: dict[str, float]) -> dict[str, Counter[str]]:
    """Count every shopper's totals line by line."""
    first: dict[str, int] = {}
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    sessions: dict[str, set[str]] = defaultdict(set)
    days: dict[str, set[int]] = defaultdict(set)
    for line in (folder / "log" / "decisions-1.jsonl").read_text().splitlines():
        row: dict[str, Any] = json.loads(line)
        if row["time"] >= FIRST_US:
            user = row["user"]
            first[user] = min(first.get(user, row["time"]), row["time"])
            totals[user] += Counter(lists=1, impressions=row["shown"], degraded=bool(row["degraded"]))
            totals[user]["arm"] = list(shares).index(row["arms"]["new_ranker"])
            sessions[user].add(row["session"])
            days[user].add(row["time"] // 86_400_000_000)
    orders: dict[str, set[str]] = defaultdict(set)
    for line in (folder / "log" / "interactions-1.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["user"] in first and row["time"] >= first[row["user"]]:
            bought = row["action"] == "purchase"
            totals[row["user"]] += Counter(clicks=not bought, pieces=row["quantity"] or 0)
            totals[row["user"]]["revenue"] += row["revenue"] or 0
            if bought:
                orders[row["user"]].add(row["session"])
    last = max(day for each in days.values() for day in each)
    for user, counter in totals.items():
        start = min(days[user])
        followed = start + 7 <= last
        counter["sessions"], counter["orders"], counter["followed"] = len(sessions[user]), len(orders[user]), followed
        counter["came_back"] = followed and any(start < day <= start + 7 for day in days[user])
    return totals


def test_every_shoppers_totals_are_those_counted_line_by_line(shop: Path) -> None:
    file = load_experiment_file(shop)
    dataset = planted_dataset(shop.parent)
    window = log_window(file.start, file.until, pre_period_s=file.pre_period, zone="UTC")
    query = LogQuery.of_file(file)
    totals = read_totals(shop.parent / "log", dataset, query, window, outcome_actions(dataset), Counter(), say=lambda _: None)
    table = build_shoppers(totals, file.bots).table
    by_hand = totals_by_hand(shop.parent, SHARES)
    hashed = pl.DataFrame({"name": list(by_hand)}).with_columns(user=pl.col("name").hash())
    rows = {row["name"]: row for row in table.join(hashed, on="user").iter_rows(named=True)}
    assert len(table) == len(rows) == len(by_hand) > 500
    for name, counter in by_hand.items():
        for total in ("arm", "lists", "impressions", "degraded", "sessions", "orders", "clicks", "pieces", "followed", "came_back"):
            assert rows[name][total] == counter[total], (name, total)
        assert rows[name]["revenue"] == pytest.approx(counter["revenue"])


def test_the_report_finds_the_planted_effect(tmp_path: Path) -> None:
    made = report(write(tmp_path, whole_log(replace(CONFIG, shoppers=8000))))
    (click_rate,) = [row for row in made.results if (row.metric, row.adjustment, row.segment) == ("click_rate", "cuped", "")]
    assert click_rate.relative is not None
    assert click_rate.relative == pytest.approx(0.3, abs=0.08)
    assert click_rate.significant
    assert {check.severity for check in made.checks} == {"pass"}
    assert {row.segment for row in made.results} == {"", "shopper=known", "shopper=new"}
    assert {effect.metric for effect in made.effects} >= {"revenue_per_shopper", "margin_per_shopper", "conversion"}


def test_the_same_log_gives_the_same_bytes(shop: Path) -> None:
    assert report(shop).model_dump_json() == report(shop).model_dump_json()
    assert render(report(shop)) == render(report(shop))


def test_the_page_needs_no_network(shop: Path) -> None:
    page = render(report(shop))
    assert "http" not in page
    assert "<script" not in page


@pytest.mark.parametrize("fault", faults.FAULTS, ids=[fault.text for fault in faults.FAULTS])
def test_a_planted_fault_is_named(fault: faults.Fault, tmp_path: Path) -> None:
    config = ShopConfig(shoppers=8000, seed=2)
    checks = faults.named_checks(fault.plant(whole_log(config)), config.shares, tmp_path)
    assert (fault.check in {check.name for check in checks}) == bool(fault.check)
    assert bool(checks) == bool(fault.check)


def test_bots_are_left_out_and_the_results_with_them_are_beside(tmp_path: Path) -> None:
    made = report(write(tmp_path, faults.bots(whole_log(CONFIG))))
    assert [arm.bots for arm in made.arms] == [0, 3]
    rates = {row.population: row.effect for row in made.results if (row.metric, row.adjustment, row.segment) == ("click_rate", "none", "")}
    assert rates["all"] < rates["without bots"] / 2  # 3,000 lists without a click


def test_planned_days_that_are_not_reached_go_on(tmp_path: Path) -> None:
    alike = whole_log(replace(CONFIG, effect=Effect()))
    for looks in ("planned", "end"):
        made = report(write(tmp_path / looks, alike, lines=f"primary: click_rate\nplanned: {{days: 28}}\nlooks: {looks}\n"))
        assert made.decision.action == "go on"
        assert made.decision.until == date(2026, 2, 2)


def before(log: ShopLog, *, days: float) -> ShopLog:
    until = pl.col("time") < FIRST_US + round(days * 86_400e6)
    return ShopLog(log.decisions.filter(until), log.interactions.filter(until))


def test_planned_looks_end_with_whole_days_and_with_the_plan(tmp_path: Path) -> None:
    """A report says the same at any time of a day, and on all days after the planned end."""
    log = whole_log(CONFIG)
    lines = "primary: click_rate\nplanned: {days: 7}\n"
    morning, evening, later = (report(write(tmp_path / str(days), before(log, days=days), lines)) for days in (7.3, 7.9, 14))
    assert morning.results == evening.results == later.results
    assert morning.decision == evening.decision == later.decision
    assert (morning.looks, morning.looks_used, morning.last_day) == ("planned", 7, date(2026, 1, 11))
    (click_rate,) = [row for row in later.results if (row.metric, row.adjustment, row.segment) == ("click_rate", "cuped", "")]
    (decided,) = [each for each in later.decision.metrics if each.metric == "click_rate"]
    assert decided.information == 1
    assert click_rate.upper - click_rate.effect == pytest.approx(decided.critical * click_rate.std_error)
    assert 1.96 < decided.critical < 2.1


def test_no_whole_day_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a whole day of the experiment from 2026-01-05 on"):
        report(write(tmp_path, before(whole_log(CONFIG), days=0.9), "planned: {days: 7}\n"))


def test_without_a_plan_intervals_hold_at_any_time(shop: Path) -> None:
    made = report(shop)
    assert (made.looks, made.decision.until) == ("any", None)
    rows = [row for row in made.results if row.role == "primary" and row.segment == ""]
    assert all(row.upper - row.effect > 2.9 * row.std_error for row in rows)
    assert "confidence sequence" in render(made)


def test_segments_come_from_a_table_of_shoppers(tmp_path: Path) -> None:
    users = [f"u{number}" for number in range(1500)]
    pl.DataFrame({"id": users, "country": ["de" if number % 3 else "fr" for number in range(1500)]}).write_csv(tmp_path / "users.csv")
    path = write(tmp_path, whole_log(CONFIG), lines="segments: {file: users.csv, id: id, columns: country}\n")
    assert {"country=de", "country=fr"} <= {row.segment for row in report(path).results}


def without(log: ShopLog, *, arm: str = "", action: str = "") -> ShopLog:
    decisions = log.decisions.filter((pl.col("arm") != arm).fill_null(True))
    return ShopLog(decisions, log.interactions.filter(pl.col("action") != action))


@pytest.mark.parametrize(
    ("log", "lines", "shares", "message"),
    [
        (without(whole_log(CONFIG), arm="treatment"), "", SHARES, "got none in treatment"),
        (without(whole_log(CONFIG), action="purchase"), "", SHARES, "'revenue_per_shopper' can't be compared: no shopper has any revenue"),
        (whole_log(CONFIG), "", {"control": 0.5, "treatmnt": 0.5}, "did you mean 'treatmnt'"),
        (whole_log(CONFIG), "until: 2026-01-06\npre_period: 1d\nclick: buy\n", SHARES, "no action 'buy'"),
        (whole_log(CONFIG), "segments: {file: none.csv, id: id, columns: country}\n", SHARES, "can't be read"),
    ],
    ids=["an arm is empty", "a metric has no events", "an arm is unknown", "an action is unknown", "no segments"],
)
def test_bad_input_is_an_error_that_says_so(tmp_path: Path, log: ShopLog, lines: str, shares: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        report(write(tmp_path, log, lines, shares))


def test_an_experiment_that_the_log_lacks_is_said_with_the_closest_it_has(shop: Path, tmp_path: Path) -> None:
    text = shop.read_text().replace("experiment: new_ranker", "experiment: new_rankr").replace("log: log", f"log: {shop.parent / 'log'}")
    planted_dataset(tmp_path)
    (tmp_path / "experiment.yaml").write_text(text)
    with pytest.raises(InputError, match="did you mean 'new_ranker'"):
        report(tmp_path / "experiment.yaml")


def test_lists_of_two_experiments_of_one_layer_are_a_fault(tmp_path: Path) -> None:
    path = write(tmp_path, whole_log(CONFIG), lines="excludes: other\n")
    log = tmp_path / "log" / "decisions-1.jsonl"
    log.write_text(log.read_text().replace('{"new_ranker":"control"}', '{"new_ranker":"control","other":"a"}'))
    assert {check.name for check in report(path).checks if check.severity == "fault"} == {"overlapping experiments"}


def test_the_command_writes_page_json_and_index(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["experiment", "report", str(shop), "--out", str(tmp_path / "out")])
    made = read_report(tmp_path / "out" / "new_ranker" / FILE)
    assert code == {"ship": 0, "go on": 10, "stop": 11}[made.decision.action]
    assert "new_ranker/index.html" in (tmp_path / "out" / "index.html").read_text()
    assert "click_rate" in capsys.readouterr().out


def test_the_plans_effect_is_one_that_experiments_find(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [
        "--log",
        str(shop.parent / "log"),
        "--days",
        "7",
        "14",
        "--effect",
        "20%",
        "--currency",
        "EUR",
        "--until",
        "2026-01-19",
        "--json",
    ]
    assert main(["experiment", "plan", str(shop.parent / "shop.yaml"), *options]) == 0
    plan = json.loads(capsys.readouterr().out)
    rows = {(row["metric"], row["days"]): row for row in plan["metrics"]}
    one, two = rows["click_rate", 7], rows["click_rate", 14]
    assert two["shoppers"] > one["shoppers"]
    assert two["effect"] < one["effect"] < one["effect_without_cuped"]
    # The effect that is found with so many shoppers takes so many shoppers: power is by z, so it falls with their root.
    assert two["shoppers_needed"] == pytest.approx(two["shoppers"] * (two["effect"] / 0.2) ** 2, rel=0.01)


@pytest.mark.slow
def test_a_a_tests_reject_at_their_rate(tmp_path: Path) -> None:
    from benchmarks.experiment.rates import Series, measure

    tests = measure(Series(config=ShopConfig(shoppers=1500), caps=(0.999,), experiments=60, folder=tmp_path), lambda _: None)
    metrics = tests.filter(pl.col("kind") == "metric")
    by_name = metrics.group_by("name", "adjustment").agg((pl.col("p") < 0.05).mean().alias("rate"))
    assert by_name["rate"].max() < 0.17  # of 60 tests at 5 %, 10 or more reject with a chance of one in two thousand
    assert 0.02 < metrics.select((pl.col("p") < 0.05).mean()).item() < 0.09


@pytest.mark.slow
def test_intervals_hold_the_planted_effect(tmp_path: Path) -> None:
    from benchmarks.experiment.rates import PLANTED, Series, measure, true_effects

    config = ShopConfig(shoppers=1500, effect=PLANTED)
    truth = true_effects(config, tmp_path, shops=3, shoppers=40_000)
    tests = measure(Series(config=config, caps=(None,), experiments=40, folder=tmp_path), lambda _: None)
    true = pl.col("name").replace_strict(truth)
    metrics = tests.filter(pl.col("kind") == "metric").with_columns(covered=true.is_between(pl.col("lower"), pl.col("upper")))
    assert metrics.group_by("name", "adjustment").agg(pl.col("covered").mean())["covered"].min() > 0.8
    assert 0.91 < metrics["covered"].mean() < 0.98
