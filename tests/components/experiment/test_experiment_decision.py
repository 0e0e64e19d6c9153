"""What to do today, from estimates, standard errors and the information that is reached."""

from datetime import date
from typing import Any

import pytest

from components.experiment.decision import Decision, Evidence, assess, decide, fixed_horizon
from components.experiment.report_schema import Role

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


def test_a_sequential_boundary_takes_the_place_of_the_fixed_one() -> None:
    decided = decide([evidence(3.0, information=0.25)], primary=lambda _: 2.8, guardrail=lambda _: 2.8, first_day=DAY, days=7)
    assert decided.action == "ship"
