"""Deciding after each day of experiments with shoppers who come back: few without an effect are ever shipped."""

import math
from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest

from benchmarks.experiment.sequential import ALPHA, Sample, simulated
from components.experiment.decision import Boundary, Evidence, decide, fixed_horizon
from components.experiment.looks import Look, make_boundary
from components.experiment.report_schema import Looks

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
