"""A switchback's effect and what it leaves over are estimated over slots, and nothing is found where nothing is."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from benchmarks.experiment.switchback import measured
from components.contract.errors import InputError
from components.experiment.designs.switchback import Slots, analyse_switchback

RUNS = 300


def test_a_planted_effect_and_its_carry_over_come_out_exactly_without_noise() -> None:
    rng = np.random.default_rng(0)
    treated = rng.random(60) < 0.5
    lists = rng.integers(50, 150, 60).astype(np.float64)
    rate = 0.2 + 0.03 * treated + 0.01 * np.r_[False, treated[:-1]]
    result = analyse_switchback(Slots(np.arange(60), treated, rate * lists, lists))
    assert_allclose([result.control, result.effect.value, result.carry_over.value, result.lasting.value], [0.2, 0.03, 0.01, 0.04])
    assert (result.slots, result.treated) == (59, int(treated[1:].sum()))


def test_a_slot_after_a_gap_does_not_count() -> None:
    number = np.r_[np.arange(30), np.arange(40, 70)]
    treated = np.arange(60) % 4 < 2
    ones = np.ones(60)
    assert analyse_switchback(Slots(number, treated, ones + treated, ones * 10)).slots == 58


@pytest.mark.parametrize(("effect", "carry_over"), [(0.0, 0.0), (0.008, 0.006)])
def test_intervals_hold_the_truth_and_proofs_come_at_the_rate_of_alpha(effect: float, carry_over: float) -> None:
    margin = 3 * math.sqrt(0.05 * 0.95 / RUNS)
    for row in measured(effect, carry_over, slots=14 * 24, runs=RUNS, seed=1).values():
        assert abs(row.covered - 0.95) < margin
        assert abs(row.mean - row.truth) < 0.0005
        assert row.proven > 0.7 if row.truth else row.proven < 0.05 + margin


def test_too_few_slots_are_refused() -> None:
    ones = np.ones(20)
    with pytest.raises(InputError, match="expected 20 slots that follow a slot with lists, got 19; wait"):
        analyse_switchback(Slots(np.arange(20), ones > 0, ones, ones))
    more = np.ones(40)
    with pytest.raises(InputError, match="slots of each arm after each arm"):
        analyse_switchback(Slots(np.arange(40), np.arange(40) % 2 == 0, more, more))
