"""Many requests at once equal the definitions request by request."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from components.contract.errors import InputError
from components.evaluation.metrics import ndcg_at_k, precision_at_k, reciprocal_rank, request_auc
from components.evaluation.sums import NO_SUMS, RankingSums, gains_from, request_sums, sums

# Few levels, so that ties are common; lists from none to longer than any k.
REQUESTS = st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8)), max_size=13), max_size=12)


def _arrays(requests: list[list[tuple[int, int]]]) -> dict[str, np.ndarray]:
    gains = np.array([gain for request in requests for gain, _ in request], np.float32)
    scores = np.array([score / 8 for request in requests for _, score in request], np.float32)
    return {
        "labels": (gains > 0).astype(np.float32),
        "scores": scores,
        "gains": gains,
        "row_lengths": np.array([len(r) for r in requests], np.int64),
    }


def _sums(requests: list[list[tuple[int, int]]]) -> RankingSums:
    arrays = _arrays(requests)
    return sums(arrays["labels"], arrays["scores"], gains=arrays["gains"], row_lengths=arrays["row_lengths"])


def _same(a: dict[str, float], b: dict[str, float]) -> bool:
    return a.keys() == b.keys() and all(a[name] == pytest.approx(b[name], abs=1e-9, nan_ok=True) for name in a)


def _mean(values: list[float], weights: list[float] | None = None) -> float:
    return float(np.average(values, weights=weights)) if values else float("nan")


@given(REQUESTS)
def test_means_are_those_of_the_definitions(requests: list[list[tuple[int, int]]]) -> None:
    values = _sums(requests).values()
    split = [([gain for gain, _ in r], [gain > 0 for gain, _ in r], [score / 8 for _, score in r]) for r in requests]
    positive = [each for each in split if any(each[1])]
    both = [each for each in positive if not all(each[1])]
    expected = {
        "requests": len(requests),
        "impressions": sum(len(r) for r in requests),
        "positives": sum(sum(labels) for _, labels, _ in split),
        "requests_without_positive": len(requests) - len(positive),
        "invalid_scores": 0,
        "gauc": _mean([request_auc(labels, scores) for _, labels, scores in both], [len(labels) for _, labels, _ in both]),
        "mrr": _mean([reciprocal_rank(labels, scores) for _, labels, scores in positive]),
    }
    expected |= {f"precision_at_{k}": _mean([precision_at_k(labels, scores, k=k) for _, labels, scores in positive]) for k in (1, 5, 10)}
    expected |= {f"ndcg_at_{k}": _mean([ndcg_at_k(gains, scores, k=k) for gains, _, scores in positive]) for k in (5, 10)}
    assert _same({name: values[name] for name in expected}, expected)


@given(REQUESTS, st.integers(0, 12), st.randoms(use_true_random=False))
def test_parts_add_up_and_the_order_of_requests_and_candidates_is_nothing(
    requests: list[list[tuple[int, int]]], cut: int, random: object
) -> None:
    whole = _sums(requests).values()
    first, second = _sums(requests[:cut]), _sums(requests[cut:])
    assert _same((first + second).values(), whole)
    assert _same((second + NO_SUMS + first).values(), whole)
    shuffled = [random.sample(request, len(request)) for request in random.sample(requests, len(requests))]  # type: ignore[attr-defined]
    assert _same(_sums(shuffled).values(), whole)


@given(REQUESTS, st.lists(st.booleans(), min_size=12, max_size=12))
def test_total_of_chosen_requests_is_the_sum_over_these_alone(requests: list[list[tuple[int, int]]], chosen: list[bool]) -> None:
    arrays = _arrays(requests)
    block = request_sums(arrays["labels"], arrays["scores"], gains=arrays["gains"], row_lengths=arrays["row_lengths"])
    part = [request for request, wanted in zip(requests, chosen, strict=False) if wanted]
    assert _same(block.total(np.array(chosen[: len(requests)], np.bool_)).values(), _sums(part).values())


def test_auc_and_log_loss_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    scores = rng.random(5_000).astype(np.float32)
    labels = (rng.random(5_000) < scores).astype(np.float32)
    values = sums(labels, scores, gains=labels, row_lengths=np.full(500, 10)).values()
    assert values["auc"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert values["log_loss"] == pytest.approx(log_loss(labels, scores.astype(np.float64)), rel=1e-6)


def test_gauc_weighs_a_request_by_its_impressions() -> None:
    # A list of 2 with AUC 1 and one of 4 with AUC 0; a third has no negative.
    values = _sums([[(1, 8), (0, 0)], [(1, 0), (0, 1), (0, 2), (0, 3)], [(1, 1)]]).values()
    assert values["gauc"] == pytest.approx((2 * 1 + 4 * 0) / 6)


def test_scores_that_are_no_numbers_are_counted_and_rank_last() -> None:
    scores = np.array([np.nan, 0.2, np.inf, 0.1], np.float32)
    labels = np.array([1, 0, 0, 1], np.float32)
    values = sums(labels, scores, gains=labels, row_lengths=np.array([2, 2])).values()
    assert values["invalid_scores"] == 2
    assert values["gauc"] == 0
    assert np.isnan(values["log_loss"])


def test_log_loss_of_a_certain_mistake_is_finite() -> None:
    values = sums(np.array([1], np.float32), np.array([0], np.float32), gains=np.array([1], np.float32), row_lengths=np.array([1])).values()
    assert values["log_loss"] == pytest.approx(-np.log(1e-7))


def test_a_missing_score_is_an_error_that_gives_the_numbers() -> None:
    with pytest.raises(InputError, match=r"\(3\), got 3, 2 and 3"):
        sums(np.zeros(3, np.float32), np.zeros(2, np.float32), gains=np.zeros(3, np.float32), row_lengths=np.array([1, 2]))


def test_a_candidate_is_worth_its_dearest_action() -> None:
    labels = {"label_click": np.array([1, 1, 0], np.float32), "label_purchase": np.array([0, 1, 0], np.float32)}
    assert gains_from(labels, {"label_click": 1, "label_purchase": 5}).tolist() == [1, 5, 0]
