"""Gains by day, costs, payback, the holdout and avoided losses, by hand."""

from datetime import date, timedelta

import numpy as np
import pytest

from components.contract.errors import InputError
from components.experiment.roi.avoided_losses import Rollback, avoided_losses
from components.experiment.roi.costs import DAYS_A_MONTH, Usage, cost_items, cumulative_cost, total_cost
from components.experiment.roi.gains import ShrunkEffects, days_between, in_force, margin_basis, money_weights, total
from components.experiment.roi.holdout import check_holdout
from components.experiment.roi.payback import paid_after, payback
from components.experiment.roi.programme import MARGIN, REVENUE, Arm, Measured, build_programme
from tests.components.experiment.roi.programme import REPORTS, price_file, shop

START, UNTIL = date(2026, 1, 1), date(2026, 4, 11)
DAYS = days_between(START, UNTIL)


def effects(*values: float) -> ShrunkEffects:
    exact = np.array(values)
    return ShrunkEffects(measured=exact, std_errors=np.zeros(len(values)), draws=np.tile(exact, (10, 1)), james_stein=None)


def test_a_relative_effect_brings_its_share_of_every_shoppers_spending_on_each_day_in_force() -> None:
    programme = build_programme(REPORTS, price_file(), until=UNTIL)
    weights = money_weights(programme.arms, REVENUE, price_file(), DAYS)
    assert weights.shape == (3, 100)
    assert weights[0, 13:15].tolist() == [0.0, 12 * 2000]  # from 15 January on
    assert weights[0].sum() == 86 * 12 * 2000
    assert weights[2].sum() == 0
    assert total(effects(0.01, 0.02, 0.5), weights.sum(1)).shrunk == pytest.approx(86 * 240 + 67 * 480)


def test_effects_wear_off_and_end_when_withdrawn() -> None:
    arm = build_programme(REPORTS, price_file("experiments: {one: {until: 2026-01-20}}\n"), until=UNTIL).arms[0]
    assert in_force(arm, DAYS[13:20], half_life_days=2.0) == pytest.approx([0, 1, 0.5**0.5, 0.5, 0.5**1.5, 0.25, 0])


def test_margin_is_measured_or_assumed_or_asked_for() -> None:
    lacking = (shop("one", margin=False),)
    programme = build_programme(lacking, price_file(), until=UNTIL)
    assert margin_basis(build_programme(REPORTS, price_file(), until=UNTIL), price_file()) == (MARGIN, 1.0)
    assert margin_basis(programme, price_file("effects: {margin: 0.3}\n")) == (REVENUE, 0.3)
    with pytest.raises(InputError, match=r"one lacks it.*effects: \{margin: 0.3\}"):
        margin_basis(programme, price_file())


def test_costs_are_quantities_times_prices() -> None:
    usage = Usage(trainings=3, core_seconds=7200, seconds=10_800, unrecorded_seconds=3600, stored_bytes=5_000_000_000)
    items = cost_items(price_file("training: {cores: 4, gpus: 2}\n"), usage, UNTIL)
    months = 100 / DAYS_A_MONTH
    expected = [6 * 0.05, 6 * 1, 6 * 2400 * 0.05, 2400 * 1, 5 * months * 0.02, 8000, 10 * months * 80]
    assert [item.amount for item in items] == pytest.approx(expected)
    daily = cumulative_cost(items, 100)
    assert daily[-1] == pytest.approx(total_cost(items))
    assert daily[0] == pytest.approx(8000 + (sum(expected) - 8000) / 100)


def test_payback_is_the_day_from_which_on_the_net_gain_stays_positive() -> None:
    net = np.array([[-2, 1, -1, 3.0], [1, 1, 1, 1], [-9, -8, -7, -6], [-5, -5, -5, -5], [-1, -2, -3, -4]])
    assert paid_after(net).tolist() == [4, 1, 10, np.inf, np.inf]


def test_payback_has_a_range_and_a_probability() -> None:
    days = np.arange(1, 11.0)
    gain = np.concatenate([np.tile(2 * days, (95, 1)), np.zeros((5, 10))])
    value = payback(gain, np.full(10, 9.0), START)
    assert value.day == START + timedelta(4)
    assert (value.early, value.late, value.paid, value.within_period) == (START + timedelta(4), None, 0.95, True)
    assert payback(gain, np.full(10, 38.0), START).within_period is False


def holdout(effect: float, error: float) -> Arm:
    measured = Measured(effect=effect, std_error=error, control=100.0, unit="EUR per shopper")
    return Arm(
        experiment="rest",
        name="everybody",
        first_day=date(2026, 1, 6),
        last_day=date(2026, 1, 24),
        shoppers_a_day=1000.0,
        metrics={REVENUE: measured},
    )


def test_the_holdout_is_compared_with_what_was_in_force_in_its_days() -> None:
    arms = build_programme(REPORTS, price_file(), until=UNTIL).arms
    # One was shipped for 10 of its 19 days: 10 days x 2,000 shoppers x 12 EUR x 1 %, over 19,000 shoppers of the holdout.
    check = check_holdout(holdout(0.2, 0.1), arms, effects(0.01, 0.02, 0.0), price_file())
    assert check.predicted.shrunk == pytest.approx(2400 / 19_000)
    assert check.difference.shrunk == pytest.approx(0.2 - 2400 / 19_000)
    assert check.consistent
    assert not check_holdout(holdout(0.4, 0.1), arms, effects(0.01, 0.02, 0.0), price_file()).consistent


def test_an_avoided_loss_is_the_clicks_lost_times_the_margin_of_the_days_until_somebody_would_have_noticed() -> None:
    day = date(2026, 2, 1)
    known = Rollback(day=day, release=7, reason="fewer clicks", clicked=(800, 10_000), stable_clicked=(10_000, 100_000))
    unknown = Rollback(day=day, release=3, reason="errors", clicked=None, stable_clicked=None)
    losses = avoided_losses((known, unknown), price_file("rollbacks: {days_unnoticed: 5, revenue_of_clicks: 0.5}\n"), margin_a_day=1000.0)
    assert losses.unvalued == 1
    loss, amount = losses.rows[0].loss, losses.rows[0].amount
    assert loss is not None
    assert amount is not None
    assert loss.shrunk == pytest.approx(0.2)
    error = (1 / 800 - 1 / 10_000 + 1 / 10_000 - 1 / 100_000) ** 0.5
    assert loss.upper == pytest.approx(1 - 0.8 * np.exp(-1.959964 * error))
    assert amount.shrunk == pytest.approx(0.2 * 1000 * 5 * 0.5)
    assert losses.total == amount
