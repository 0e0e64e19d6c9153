"""Estimates from clicks on one order find what another order is worth."""

import numpy as np
import pytest

from components.contract.errors import InputError
from components.evaluation.metrics.off_policy import LoggedRequests, off_policy_values

EXAMINATION = np.array([1.0, 1 / 2, 1 / 4])


def _logged(clicks: list[int], lengths: list[int], places: list[int] | None = None) -> LoggedRequests:
    given = places if places is not None else [place for n in lengths for place in range(n)]
    return LoggedRequests(np.array(clicks, float), np.array(given), np.array(lengths), np.arange(len(lengths), dtype=np.uint64))


def test_estimates_of_worked_examples() -> None:
    # Shown a, b, c with a click on b; the new order is c, b, a. A second request of one candidate, clicked.
    logged, scores = _logged([0, 1, 0, 1], [3, 1]), np.array([0.1, 0.2, 0.3, 0.5], np.float32)
    predicted = np.array([0.4, 0.4, 0.4, 1.0])
    values = off_policy_values(logged, scores, EXAMINATION, predicted=predicted)
    assert values["shown"].value == 2 / 2
    assert values["ips"].value == pytest.approx((1 + 1) / 2)
    assert values["snips"].value == pytest.approx((1 + 1) / (2 + 1))
    assert values["dr"].value == pytest.approx(values["ips"].value)  # a prediction cancels out where only the place is known


def test_estimates_with_the_examination_that_was_to_be_expected() -> None:
    # a, b and c could have stood anywhere: each could expect a mean examination of 7 / 12.
    shown, expected = _logged([0, 1, 0], [3]), np.full(3, 7 / 12)
    logged = LoggedRequests(shown.clicks, shown.places, shown.row_lengths, shown.users, expected)
    values = off_policy_values(logged, np.array([0.1, 0.2, 0.3], np.float32), EXAMINATION, predicted=np.full(3, 0.4))
    assert values["ips"].value == pytest.approx((1 / 2) / (7 / 12))
    assert values["snips"].value == pytest.approx(1 / 2)
    corrections = ((0 - 0.4) * 1 / 4 + (1 - 0.2) * 1 / 2 + (0 - 0.1) * 1) / (7 / 12)
    assert values["dr"].value == pytest.approx(0.4 * (1 / 4 + 1 / 2 + 1) + corrections)


def test_tied_candidates_share_the_examination_of_their_places() -> None:
    values = off_policy_values(_logged([1, 0], [2]), np.zeros(2, np.float32), EXAMINATION)
    assert values["ips"].value == pytest.approx(3 / 4)


def test_the_shown_order_is_worth_what_was_clicked() -> None:
    logged = _logged([1, 0, 1, 0, 1, 1], [4, 2])
    values = off_policy_values(logged, -logged.places.astype(np.float32), EXAMINATION)
    assert values["ips"].value == values["shown"].value == 2


def _shuffled_shop(seed: int, *, expected: float = 7 / 12) -> tuple[LoggedRequests, np.ndarray, np.ndarray, float, float]:
    """Requests shown in an order by lot, other scores, the relevance, and what their order is truly worth: clicks, and share looked at."""
    rng = np.random.default_rng(seed)
    relevance = rng.beta(1, 4, (400, 3))
    shown = np.argsort(rng.random((400, 3)), axis=1)
    clicks = (rng.random((400, 3)) < EXAMINATION[shown] * relevance).astype(float)
    scores = (rng.random((400, 3)) + relevance).astype(np.float32)
    earned = (EXAMINATION[np.argsort(np.argsort(-scores, axis=1), axis=1)] * relevance).sum()
    users = rng.integers(0, 2**64, 400, dtype=np.uint64)
    logged = LoggedRequests(clicks.ravel(), shown.ravel(), np.full(400, 3), users, np.full(1200, expected))
    return logged, scores.ravel(), relevance.ravel(), earned / 400, earned / relevance.sum()


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held: dict[str, list[bool]] = {"ips": [], "dr": [], "snips": []}
    for seed in range(60):
        logged, scores, relevance, clicks, share = _shuffled_shop(seed)
        noisy = np.clip(relevance + 0.1 * np.random.default_rng(seed).normal(size=1200), 0, 1)
        found = off_policy_values(logged, scores, EXAMINATION, predicted=noisy)
        for name, truth in (("ips", clicks), ("dr", clicks), ("snips", share)):
            held[name].append(found[name].covers(truth))
    assert all(np.mean(each) >= 0.88 for each in held.values()), held


def test_a_right_prediction_makes_up_for_a_wrong_expectation() -> None:
    errors = []
    for seed in range(20):
        logged, scores, relevance, clicks, _ = _shuffled_shop(seed, expected=1 / 3)
        found = off_policy_values(logged, scores, EXAMINATION, predicted=relevance)
        errors.append((found["ips"].value / clicks - 1, found["dr"].value / clicks - 1))
    of_ips, of_dr = np.mean(errors, axis=0)
    assert of_ips == pytest.approx(7 / 12 * 3 - 1, abs=0.05)
    assert of_dr == pytest.approx(0, abs=0.03)


def test_an_examination_of_nothing_and_missing_values_are_refused() -> None:
    logged = _logged([1, 0], [2])
    for wrong in ([1.0, 0.0], [1.2], []):
        with pytest.raises(InputError, match="above 0"):
            off_policy_values(logged, np.zeros(2, np.float32), np.array(wrong))
    with pytest.raises(InputError, match="2 candidates"):
        _logged([1], [2])
