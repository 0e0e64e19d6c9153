"""Critical values agree with published tables, and spend alpha at any looks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from components.contract.errors import InputError
from components.experiment.sequential.boundaries import critical_value, critical_values, exit_probabilities
from components.experiment.sequential.spending import SPENDING, Spending, obrien_fleming, pocock


def equal(number: int) -> list[float]:
    return [k / number for k in range(1, number + 1)]


@pytest.mark.parametrize(
    ("alpha", "constants"),
    [
        (0.05, {1: 1.960, 2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413, 10: 2.555, 20: 2.672}),
        (0.01, {1: 2.576, 2: 2.772, 3: 2.873, 4: 2.939, 5: 2.986}),
    ],
)
def test_pococks_constants_have_their_error_rate(alpha: float, constants: dict[int, float]) -> None:
    """C_P(K, alpha) of Jennison & Turnbull 2000, Table 2.1."""
    for looks, constant in constants.items():
        assert_allclose(exit_probabilities(equal(looks), [constant] * looks).total, alpha, rtol=3e-3)


@pytest.mark.parametrize(
    ("alpha", "constants"),
    [
        (0.05, {1: 1.960, 2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040, 10: 2.087, 20: 2.126}),
        (0.01, {1: 2.576, 2: 2.580, 3: 2.595, 4: 2.609, 5: 2.621}),
    ],
)
def test_obrien_and_flemings_constants_have_their_error_rate(alpha: float, constants: dict[int, float]) -> None:
    """C_B(K, alpha) of Jennison & Turnbull 2000, Table 2.3: the value at look k is C_B sqrt(K / k)."""
    for looks, constant in constants.items():
        bounds = constant / np.sqrt(equal(looks))
        assert_allclose(exit_probabilities(equal(looks), bounds.tolist()).total, alpha, rtol=4e-3)


def test_spending_at_equal_looks_gives_the_values_of_other_software() -> None:
    """ldbounds and gsDesign (sfLDOF, sfLDPocock), with half of alpha on each side."""
    five, three, two = equal(5), equal(3), equal(2)
    assert_allclose(critical_values(five), [4.8769, 3.3569, 2.6803, 2.2898, 2.0310], atol=2e-4)
    assert_allclose(critical_values(three), [3.7103, 2.5114, 1.9930], atol=5e-5)
    assert_allclose(critical_values(two), [2.9626, 1.9686], atol=5e-5)
    assert_allclose(critical_values(five, spending="pocock"), [2.4380, 2.4268, 2.4102, 2.3966, 2.3859], atol=1e-4)


def test_a_one_sided_example_of_other_software_comes_out() -> None:
    """The README of SeqBounds.jl: one-sided at 0.05, which is a side of two-sided at 0.1 (both sides together differ by 1e-6)."""
    assert_allclose(critical_values([0.25, 0.5, 0.75, 1.0], 0.1), [3.74955, 2.53993, 2.01604, 1.72014], atol=5e-5)


def test_one_look_is_the_fixed_test() -> None:
    for spending in SPENDING:
        assert_allclose(critical_value([1.0], 0.05, spending=spending), 1.959964, atol=1e-6)


def test_spending_functions_spend_nothing_at_first_and_all_at_the_end() -> None:
    shares = np.array([1e-6, 1.0, 1.3])
    for function in (obrien_fleming, pocock):
        assert_allclose(function(shares, 0.025), [0, 0.025, 0.025], atol=1e-7)


@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock"])
@pytest.mark.parametrize("looks", [[0.013, 0.3, 0.3001, 0.77, 1.0], [0.5, 0.98, 1.2], [k / 50 for k in range(1, 51)]])
def test_whatever_the_looks_alpha_is_spent_in_all(looks: list[float], spending: Spending) -> None:
    bounds = critical_values(looks, 0.05, spending=spending)
    assert_allclose(exit_probabilities(looks, bounds.tolist()).total, 0.05, atol=1e-7)


def test_a_value_depends_on_no_later_look() -> None:
    assert_allclose(critical_values([0.2, 0.35, 0.9])[:2], critical_values([0.2, 0.35]), atol=1e-9)
    assert critical_value([0.2, 0.35]) == critical_values([0.2, 0.35])[-1]


def test_after_the_end_nothing_is_left_to_spend() -> None:
    assert critical_values([0.5, 1.0, 1.1])[-1] == np.inf


def test_probabilities_are_those_of_simulated_paths() -> None:
    looks, bounds, drift = [0.1, 0.4, 0.55, 1.0], [2.8, 2.5, 2.2, 2.1], 1.7
    rng = np.random.default_rng(1)
    steps = np.diff(looks, prepend=0)
    z = np.cumsum(rng.normal(drift * steps, np.sqrt(steps), (400_000, 4)), axis=1) / np.sqrt(looks)
    outside = np.abs(z) >= bounds
    first = np.where(outside.any(axis=1), outside.argmax(axis=1), -1)
    up = [np.mean((first == k) & (z[:, k] > 0)) for k in range(4)]
    down = [np.mean((first == k) & (z[:, k] < 0)) for k in range(4)]
    computed = exit_probabilities(looks, bounds, drift=drift)
    assert_allclose(computed.upper, up, atol=0.003)
    assert_allclose(computed.lower, down, atol=0.0005)


@pytest.mark.parametrize(
    ("looks", "complaint"),
    [
        ([], "expected looks as shares"),
        ([0.0, 1.0], "expected looks as shares"),
        ([float("nan")], "expected looks as shares"),
        ([0.5, 0.4], "ascend by at least 0.0001, got 0.5 and then 0.4; leave out the second"),
        ([0.5, 0.50001], "ascend by at least 0.0001"),
    ],
)
def test_looks_out_of_order_are_refused(looks: list[float], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        critical_values(looks)


def test_an_alpha_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match="alpha between 0 and 1"):
        critical_value([1.0], 0.0)
    with pytest.raises(InputError, match="a critical value for each of the 2 looks, got 1"):
        exit_probabilities([0.5, 1.0], [2.0])
