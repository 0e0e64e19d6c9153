"""What to do today, from estimates, standard errors and the information that is reached."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from components.experiment.comparison import Difference, widened
from components.experiment.decision import Decision, Evidence, assess, decide, fixed_horizon
from components.experiment.looks import Look, make_boundary
from components.experiment.report_schema import Looks, Role
from components.experiment.sequential.boundaries import critical_value

DAY = date(2026, 1, 5)


def evidence(effect: float, *, role: Role = "primary", arm: str = "new", information: float = 1.0, **keys: Any) -> Evidence:
    """A metric with a standard error of 1."""
    higher = keys.pop("higher", True)
    return Evidence(metric=role, arm=arm, role=role, higher_is_better=higher, effect=effect, std_error=1.0, information=information, **keys)


def decision(*rows: Evidence, faults: tuple[str, ...] = ()) -> Decision:
    boundary = fixed_horizon(0.05)
    return decide(rows, primary=boundary, guardrail=boundary, first_day=DAY, days=7, faults=faults)


def test_the_fixed_horizon_decides_nothing_before_its_end() -> None:
    boundary = fixed_horizon(0.05)
    assert boundary(1.0) == pytest.approx(1.959964)
    assert boundary(0.99) == float("inf")
    assert decision(evidence(9.0, information=0.5)).action == "go on"


def test_it_goes_on_until_the_planned_information_is_expected() -> None:
    assert decision(evidence(9.0, information=0.5)).until == date(2026, 1, 19)  # 7 days brought half


@pytest.mark.parametrize(("effect", "action"), [(1.97, "ship"), (1.95, "stop"), (-1.97, "stop")])
def test_at_the_end_an_arm_ships_where_its_primary_metric_is_better(effect: float, action: str) -> None:
    assert decision(evidence(effect)).action == action


def test_a_guardrail_that_is_worse_keeps_an_arm_from_shipping() -> None:
    rows = (evidence(3.0), evidence(3.0, role="guardrail", higher=False, margin=1.0))
    assert decision(*rows).action == "stop"


def test_a_guardrail_within_its_margin_does_not() -> None:
    rows = (evidence(3.0), evidence(3.0, role="guardrail", higher=False, margin=3.5))
    assert decision(*rows).action == "ship"
    assert assess(rows[1], fixed_horizon(0.05)).verdict == "undecided"  # it may still be beyond the margin
    assert assess(evidence(3.0, role="guardrail", higher=False, margin=5.0), fixed_horizon(0.05)).verdict == "no worse"


def test_the_better_of_two_arms_ships() -> None:
    decided = decision(evidence(3.0, arm="a"), evidence(4.0, arm="b"), evidence(-5.0, arm="c"))
    assert (decided.action, decided.arm) == ("ship", "b")


def test_a_fault_stops_whatever_the_figures_say() -> None:
    decided = decision(evidence(9.0), faults=("Sample ratio: broken.",))
    assert decided.action == "stop"
    assert decided.reasons[0] == "Sample ratio: broken."


def looked(*shares: float) -> tuple[Look, ...]:
    """Looks of which information is in proportion to the plan."""
    return tuple(Look(day=index, share=share, lists=round(10_000 * share)) for index, share in enumerate(shares))


def decided(z: float, *shares: float, rule: Looks = "planned", **keys: Any) -> Decision:
    """Ten days brought the last of the shares."""
    boundary = make_boundary(rule, looked(*shares))(0.05)
    row = evidence(z, information=shares[-1], **keys)
    return decide([row], primary=boundary, guardrail=boundary, first_day=DAY, days=10)


def test_today_at_planned_looks() -> None:
    assert decided(3.0, 0.5).action == "ship"  # 2.96 at half of the information
    assert decided(2.9, 0.5).action == "go on"
    assert decided(2.9, 0.5).until == date(2026, 1, 25)  # 10 days brought half
    assert decided(-3.0, 0.5).action == "stop"
    assert decided(-3.0, 0.5, higher=False).action == "ship"
    assert decided(1.9, 0.5, 1.0).action == "stop"
    assert decided(1.96, 0.5, 1.0).action == "stop"  # 1.969
    assert decided(1.98, 0.5, 1.0).action == "ship"


def test_today_at_any_time() -> None:
    assert decided(3.0, 0.5, rule="any").action == "go on"  # 3.08
    assert decided(3.1, 0.5, rule="any").action == "ship"
    assert decided(3.1, *(share / 100 for share in range(1, 51)), rule="any").action == "ship"  # whatever the looks before
    without_size = decide([evidence(1.0, information=0.0)], primary=lambda _: 3.0, guardrail=lambda _: 3.0, first_day=DAY, days=90)
    assert (without_size.action, without_size.until) == ("go on", None)


def test_a_hopeless_experiment_stops_and_an_open_one_goes_on() -> None:
    # The planned effect of 2.8 standard errors at today's half is a drift of 2.8 * sqrt(2) = 3.96.
    assert decided(0.0, 0.5, planned_effect=2.8).action == "go on"
    hopeless = decided(-1.5, 0.5, planned_effect=2.8)
    assert (hopeless.action, hopeless.until) == ("stop", None)
    assert hopeless.reasons[0].startswith("Even with the planned effect")
    assert decided(1.5, 0.5, planned_effect=2.8, higher=False).action == "stop"
    assert decided(-1.5, 0.5).action == "go on"  # no effect was planned


def test_planned_looks_use_the_critical_values_of_alpha_spending() -> None:
    shares = [0.1, 0.3, 0.45, 0.8]
    assert make_boundary("planned", looked(*shares))(0.05)(0.8) == pytest.approx(critical_value(shares))
    assert make_boundary("planned", looked(*shares))(0.05)(1.0) == pytest.approx(critical_value([*shares, 1.0]))  # a look to come


def test_information_that_is_not_in_proportion_to_the_plan_keeps_alpha() -> None:
    """Three quarters of the lists came in the first half of the days."""
    looks = (Look(0, 0.25, 500), Look(1, 0.5, 750), Look(2, 1.0, 1000))
    bounds = [make_boundary("planned", looks[: k + 1])(0.05)(looks[k].share) for k in range(3)]
    steps = np.diff([look.lists for look in looks], prepend=0)
    z = np.cumsum(np.random.default_rng(1).normal(0, np.sqrt(steps), (200_000, 3)), axis=1) / np.sqrt([look.lists for look in looks])
    assert (np.abs(z) >= bounds).any(axis=1).mean() == pytest.approx(0.05, abs=0.0015)
    assert (np.abs(z) >= bounds)[:, :2].any(axis=1).mean() == pytest.approx(0.05 * 0.1, rel=2)  # hardly anything by half of the days


@pytest.mark.parametrize("rule", ["planned", "any"])
def test_an_interval_excludes_0_where_p_is_below_alpha_and_smaller_alphas_are_safe(rule: Looks) -> None:
    make = make_boundary(rule, looked(0.2, 0.4, 0.6))
    critical = make(0.05)(0.6)
    plain = Difference(
        control=2.0,
        treatment=3.0,
        effect=1.0,
        std_error=0.4,
        lower=0.2,
        upper=1.8,
        relative=0.5,
        relative_lower=0.1,
        relative_upper=1.0,
        p=0.01,
    )
    for effect in (0.4 * critical * 0.999, 0.4 * critical * 1.001):
        wide = widened(replace(plain, effect=effect), critical, alpha=0.05)
        assert (wide.lower > 0) == (wide.p < 0.05)
    for alpha in (0.025, 0.01, 0.001, 1e-5):
        at_critical = widened(replace(plain, effect=0.4 * make(alpha)(0.6)), critical, alpha=0.05)
        assert at_critical.p >= alpha  # so p below alpha lies beyond the critical value of alpha
    wide = widened(plain, critical, alpha=0.05)
    assert wide.relative_lower is not None
    assert wide.relative_lower < 0.1
    assert wide.upper == pytest.approx(1 + 0.4 * critical)
    assert widened(plain, 60.0, alpha=0.05).relative_upper is None  # of ratios beyond 100
