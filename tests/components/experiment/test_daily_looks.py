"""Deciding after each day of experiments with shoppers who come back: few without an effect are ever shipped."""

import math
from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl
import pytest

from benchmarks.experiment.sequential import ALPHA, Sample, simulated
from components.contract.errors import InputError
from components.contract.yaml_loader import parse_strict
from components.experiment.decision import Boundary, Evidence, decide, fixed_horizon
from components.experiment.experiment_file import ExperimentFile
from components.experiment.looks import Look, daily_looks, make_boundary
from components.experiment.report_schema import Looks
from components.experiment.shoppers import Shoppers

RUNS = 400
SAMPLE = Sample(shoppers=500, looks=25)


def first_proof(z: np.ndarray, boundaries: Sequence[Boundary]) -> str:
    """What the first report that finds the treatment better or worse says to do; empty: none does."""
    for day, boundary in enumerate(boundaries):
        row = Evidence(
            metric="clicks",
            arm="new",
            role="primary",
            higher_is_better=True,
            effect=float(z[day]),
            std_error=1.0,
            information=(day + 1) / SAMPLE.looks,
        )
        made = decide([row], primary=boundary, guardrail=boundary, first_day=date(2026, 1, 5), days=day + 1)
        if made.metrics[0].verdict in ("better", "worse"):
            return made.action
    return ""


def rates(boundaries: Sequence[Boundary]) -> tuple[float, float]:
    """The shares of experiments without an effect with any proof, and that are shipped, of the metric for which it is greater."""
    none = simulated(SAMPLE, 0.0, runs=RUNS, seed=3)
    found = np.array([[first_proof(z, boundaries) for z in none[:, metric]] for metric in range(none.shape[1])])
    return float((found != "").mean(axis=1).max()), float((found == "ship").mean(axis=1).max())


def file(lines: str) -> ExperimentFile:
    text = f"experiment: e\ndataset: d\ncontrol: a\narms: {{a: 50%, b: 50%}}\nfrom: 1970-01-11\n{lines}\n"
    return parse_strict(text, "e", model=ExperimentFile, check=lambda _: [], error=InputError, example="experiment: e")


def shoppers(lists: dict[int, int], joined: dict[int, int]) -> Shoppers:
    by_arm_day = pl.DataFrame({"arm": 0, "day": list(lists), "lists": list(lists.values())})
    table = pl.DataFrame({"first_day": [day for day, number in joined.items() for _ in range(number)]})
    return Shoppers(table, days=pl.DataFrame(), in_two_arms=0, by_arm_day=by_arm_day)


PEOPLE = shoppers({10: 100, 11: 300, 13: 600, 14: 500}, {10: 40, 11: 20, 13: 20, 14: 20})  # nothing on day 12


@pytest.mark.parametrize(
    ("lines", "looks"),
    [
        ("planned: {days: 8}", [(10, 1 / 8, 100), (12, 3 / 8, 400), (13, 4 / 8, 1000), (14, 5 / 8, 1500)]),
        ("planned: {days: 4}", [(10, 1 / 4, 100), (12, 3 / 4, 400), (13, 1, 1000)]),
        ("planned: {days: 4, shoppers: 100}", [(10, 1 / 4, 100), (12, 0.6, 400), (13, 0.8, 1000), (14, 1, 1500)]),
        ("until: 1970-01-21", [(10, 1 / 10, 100), (12, 3 / 10, 400), (13, 4 / 10, 1000), (14, 5 / 10, 1500)]),
        ("looks: any\nplanned: {days: 4}", [(10, 1 / 4, 100), (12, 3 / 4, 400), (13, 1, 1000), (14, 5 / 4, 1500)]),
        ("", [(10, 1 / 14, 100), (12, 3 / 14, 400), (13, 4 / 14, 1000), (14, 5 / 14, 1500)]),
    ],
)
def test_looks_are_the_ends_of_days_until_the_planned_size(lines: str, looks: list[tuple[int, float, int]]) -> None:
    """Days and shoppers: whichever is behind. A day without lists is one look with the day before."""
    made = daily_looks(PEOPLE, file(lines), last_day=14)
    assert [(look.day, pytest.approx(look.share), look.lists) for look in made] == looks


def test_looks_that_have_passed_stay_what_they_are() -> None:
    for lines in ("planned: {days: 8}", "planned: {shoppers: 100}", ""):
        assert daily_looks(PEOPLE, file(lines), last_day=13) == daily_looks(PEOPLE, file(lines), last_day=14)[:3]


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["planned", "any"])
def test_reports_after_each_day_rarely_ship_what_has_no_effect(rule: Looks) -> None:
    looks = [Look(day, (day + 1) / SAMPLE.looks, round(1e5 * share)) for day, share in enumerate(SAMPLE.shares())]
    proven, shipped = rates([make_boundary(rule, looks[: day + 1])(ALPHA) for day in range(SAMPLE.looks)])
    for seen, alpha in ((proven, ALPHA), (shipped, ALPHA / 2)):
        assert seen < alpha + 3 * math.sqrt(alpha * (1 - alpha) / RUNS)


@pytest.mark.slow
def test_taking_each_day_for_the_end_would_prove_far_too_much() -> None:
    critical = fixed_horizon(ALPHA)(1.0)
    assert rates([lambda _: critical] * SAMPLE.looks)[0] > 0.2
