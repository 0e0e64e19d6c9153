"""Many requests at once equal the definitions request by request."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from components.contract.errors import InputError
from components.evaluation.metrics import item_coverage, user_sample
from components.evaluation.metrics.metric_accumulator import RankingSums, Requests, gains_from, listwise_of, no_sums, request_sums
from tests.components.evaluation.metrics_by_definition import (
    amount_at_k,
    average_precision,
    hit_rate_at_k,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
    reciprocal_rank,
    request_auc,
)
from tests.components.evaluation.summed import sums

# Few levels, so that ties are common; lists from none to longer than any k.
REQUESTS = st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8)), max_size=13), max_size=12)


def _arrays(requests: list[list[tuple[int, int]]]) -> dict[str, np.ndarray]:
    gains = np.array([gain for request in requests for gain, _ in request], np.float32)
    scores = np.array([score / 8 for request in requests for _, score in request], np.float32)
    lengths = np.array([len(r) for r in requests], np.int64)
    return {
        "labels": (gains > 0).astype(np.float32),
        "scores": scores,
        "gains": gains,
        "row_lengths": lengths,
        "users": _spread(lengths % 3),
        "items": _spread(np.concatenate([np.arange(n) for n in lengths]) if len(lengths) else np.empty(0)),
    }


def _spread(ids: np.ndarray) -> np.ndarray:
    """Numbers as hashes, far apart."""
    return ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)


def _sums(requests: list[list[tuple[int, int]]]) -> RankingSums:
    arrays = _arrays(requests)
    return sums(arrays.pop("labels"), arrays.pop("scores"), **arrays)


def _same(a: dict[str, float], b: dict[str, float]) -> bool:
    return a.keys() == b.keys() and all(a[name] == pytest.approx(b[name], abs=1e-9, nan_ok=True) for name in a)


def _mean(values: list[float], weights: list[float] | None = None) -> float:
    return float(np.average(values, weights=weights)) if values else float("nan")


@settings(deadline=None)
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
    expected["map"] = _mean([average_precision(labels, scores) for _, labels, scores in positive])
    expected |= {f"recall_at_{k}": _mean([recall_at_k(labels, scores, k=k) for _, labels, scores in positive]) for k in (1, 5, 10)}
    expected |= {f"hit_rate_at_{k}": _mean([hit_rate_at_k(labels, scores, k=k) for _, labels, scores in positive]) for k in (5, 10)}
    expected |= {f"precision_at_{k}": _mean([precision_at_k(labels, scores, k=k) for _, labels, scores in positive]) for k in (1, 5, 10)}
    expected |= {f"ndcg_at_{k}": _mean([ndcg_at_k(gains, scores, k=k) for gains, _, scores in positive]) for k in (5, 10)}
    assert _same({name: values[name] for name in expected}, expected)


@settings(deadline=None)
@given(REQUESTS, st.integers(0, 12), st.randoms(use_true_random=False))
def test_parts_add_up_and_the_order_of_requests_and_candidates_is_nothing(
    requests: list[list[tuple[int, int]]], cut: int, random: object
) -> None:
    whole = _sums(requests).values()
    first, second = _sums(requests[:cut]), _sums(requests[cut:])
    assert _same((first + second).values(), whole)
    assert _same((second + no_sums() + first).values(), whole)
    shuffled = [random.sample(request, len(request)) for request in random.sample(requests, len(requests))]  # type: ignore[attr-defined]
    of_items = ("coverage_at_5", "personalisation_at_5")  # here an item is a place in the list, so these do change
    again = _sums(shuffled).values()
    assert _same(
        {name: value for name, value in again.items() if name not in of_items}, {n: v for n, v in whole.items() if n not in of_items}
    )


@settings(deadline=None)
@given(REQUESTS, st.lists(st.booleans(), min_size=12, max_size=12))
def test_total_of_chosen_requests_is_the_sum_over_these_alone(requests: list[list[tuple[int, int]]], chosen: list[bool]) -> None:
    block = request_sums(Requests(**_arrays(requests)))
    part = [request for request, wanted in zip(requests, chosen, strict=False) if wanted]
    assert _same(block.total(np.flatnonzero(chosen[: len(requests)])).values(), _sums(part).values())


def test_auc_and_log_loss_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    scores = rng.random(5_000).astype(np.float32)
    labels = (rng.random(5_000) < scores).astype(np.float32)
    values = sums(labels, scores, gains=labels, row_lengths=np.full(500, 10)).values()
    assert values["auc"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert values["pr_auc"] == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    assert values["log_loss"] == pytest.approx(log_loss(labels, scores.astype(np.float64)), rel=1e-6)


def test_pr_auc_takes_tied_candidates_as_one_step() -> None:
    labels, scores = np.array([1, 0, 1, 0, 0], np.float32), np.array([0.5, 0.5, 0.5, 0.9, 0.1], np.float32)
    values = sums(labels, scores, gains=labels, row_lengths=np.array([5])).values()
    assert values["pr_auc"] == pytest.approx(2 / 4) == pytest.approx(average_precision_score(labels, scores))


def test_calibration_is_promised_over_found_and_ece_the_mean_gap_of_the_bins() -> None:
    # Two bins of scores: 0.25 promised and 1/4 found; 0.5 promised and 3/4 found.
    labels = np.array([1, 0, 0, 0, 1, 1, 1, 0], np.float32)
    scores = np.repeat([0.25, 0.5], 4).astype(np.float32)
    values = sums(labels, scores, gains=labels, row_lengths=np.array([8])).values()
    assert values["calibration"] == pytest.approx((4 * 0.25 + 4 * 0.5) / 4)
    assert values["ece"] == pytest.approx((4 * 0 + 4 * 1 / 4) / 8)


def test_what_a_score_promises_is_undefined_where_it_is_no_probability() -> None:
    labels, scores = np.array([1, 0], np.float32), np.array([1.5, 0.5], np.float32)
    values = sums(labels, scores, gains=labels, row_lengths=np.array([2])).values()
    assert all(np.isnan(values[name]) for name in ("ece", "calibration", "log_loss"))


def test_gauc_by_user_holds_the_requests_of_a_shopper_against_each_other() -> None:
    # Shopper 1: requests (positive 0.8, negative 0.2) and (positive 0.1, negative 0.4). Pairs won: all of 0.8's, none of 0.1's: 2 of 4.
    # Shopper 2: (positive 0.3, negative 0.1): 1 of 1.
    labels = np.array([1, 0, 1, 0, 1, 0], np.float32)
    scores = np.array([0.8, 0.2, 0.1, 0.4, 0.3, 0.1], np.float32)
    given = {"gains": labels, "row_lengths": np.array([2, 2, 2])}
    values = sums(labels, scores, users=_spread(np.array([1, 1, 2])), **given).values()
    assert values["gauc_by_user"] == pytest.approx((4 * 2 / 4 + 2 * 1) / 6)
    assert values["gauc"] == pytest.approx((1 + 0 + 1) / 3)
    assert np.isnan(sums(labels, scores, **given).values()["gauc_by_user"])


def _reach(lists: list[list[int]], scores: list[float] | None = None) -> dict[str, float]:
    items = np.array([item for one in lists for item in one])
    given = np.array(scores if scores else [-i for one in lists for i in range(len(one))], np.float32)
    lengths = np.array([len(one) for one in lists])
    return sums(
        np.zeros(len(items), np.float32), given, gains=np.zeros(len(items), np.float32), row_lengths=lengths, items=_spread(items)
    ).values()


def test_coverage_is_the_share_of_shown_items_that_reach_a_first_five() -> None:
    assert _reach([[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 7, 8]])["coverage_at_5"] == pytest.approx(6 / 8)
    # Six tied items for five places in each of two requests: an item misses both with probability 1/36.
    assert _reach([[1, 2, 3, 4, 5, 6]] * 2, [0.5] * 12)["coverage_at_5"] == pytest.approx(1 - 1 / 36)


def test_personalisation_is_what_two_lists_do_not_share() -> None:
    assert _reach([[1, 2], [1, 2]])["personalisation_at_5"] == pytest.approx(0)
    assert _reach([[1, 2], [3, 4]])["personalisation_at_5"] == pytest.approx(1)
    # Pairs of the lists {1, 2}, {1, 3}, {1, 2} share 1, 2 and 1 of 2 items.
    assert _reach([[1, 2], [1, 3], [1, 2]])["personalisation_at_5"] == pytest.approx(1 - (1 / 2 + 1 + 1 / 2) / 3)
    assert np.isnan(_reach([[1, 2]])["personalisation_at_5"])


@pytest.mark.parametrize("cap", [0, 1, 7, 40])
def test_samples_are_the_same_however_the_parts_were_added(cap: int) -> None:
    rng = np.random.default_rng(4)
    ids = rng.integers(0, 2**64, 30, dtype=np.uint64)[rng.integers(0, 30, 90)]
    scores, positive, reach = rng.random(90).astype(np.float32), rng.random(90) < 0.3, rng.random(90)
    thirds = [slice(0, 30), slice(30, 60), slice(60, 90)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(user_sample, "MAX_CANDIDATES", cap)
        patch.setattr(item_coverage, "MAX_PAIRS", cap)
        whole = user_sample.UserSample.from_users(ids, scores, positive)
        a, b, c = (user_sample.UserSample.from_users(ids[part], scores[part], positive[part]) for part in thirds)
        assert len(whole.user) <= cap
        for merged in ((a + b) + c, a + (b + c)):
            assert merged.bits == whole.bits
            assert merged.user.tolist() == whole.user.tolist()
        row, group = np.arange(90) // 10, np.array([0, 1, 2, 0, 1, 2, 3, 3, 0])
        items = item_coverage.ItemCoverage.from_candidates(ids, reach, row=row, group=group)
        x, y, z = (
            item_coverage.ItemCoverage.from_candidates(ids[part], reach[part], row=row[part] - 3 * i, group=group[3 * i : 3 * i + 3])
            for i, part in enumerate(thirds)
        )
        assert len(items.item) <= cap
        for either in ((x + y) + z, x + (z + y)):
            assert either.item.tolist() == items.item.tolist()
            assert either.group.tolist() == items.group.tolist()
            assert either.sums == pytest.approx(items.sums)
            assert either.requests.tolist() == items.requests.tolist() == [3, 2, 2, 2, *[0] * 28]


def test_the_candidates_of_a_slice_of_items_are_judged_without_their_lists() -> None:
    # Two requests; chosen are two candidates of the first.
    labels, scores = np.array([1, 0, 0, 1], np.float32), np.array([0.8, 0.6, 0.4, 0.2], np.float32)
    block = request_sums(Requests(labels, scores, labels, np.array([3, 1]), users=_spread(np.arange(2)), items=_spread(np.arange(4))))
    values = block.total_of_candidates(np.array([0, 2])).values()
    assert (values["requests"], values["impressions"], values["positives"], values["requests_without_positive"]) == (1, 2, 1, 0)
    assert values["auc"] == 1
    assert values["calibration"] == pytest.approx(1.2)
    assert values["log_loss"] == pytest.approx(-(np.log(0.8) + np.log(0.6)) / 2, rel=1e-6)
    assert all(np.isnan(values[name]) for name in ("gauc", "mrr", "ndcg_at_5", "precision_at_1", "gauc_by_user", "coverage_at_5"))


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


def test_an_action_with_an_amount_is_worth_its_weight_times_the_amount() -> None:
    labels = {"label_click": np.array([1, 1, 0, 1], np.float32), "label_purchase": np.array([0, 1, 0, 1], np.float32)}
    amounts = {"label_purchase": np.array([9, 30, 9, -4], np.float32)}  # what was earned of others doesn't count, nor what was lost
    assert gains_from(labels, {"label_click": 2, "label_purchase": 0.5}, amounts).tolist() == [2, 15, 0, 2]


@settings(deadline=None)
@given(REQUESTS)
def test_amounts_among_the_first_are_the_share_of_all_amounts(requests: list[list[tuple[int, int]]]) -> None:
    arrays = _arrays(requests)
    amounts = arrays["gains"] - 1  # some below 0
    names = listwise_of(["revenue"])
    values = request_sums(Requests(**arrays, amounts={"revenue": amounts}), names).total().values(names)
    split = [([gain - 1 for gain, _ in r], [score / 8 for _, score in r]) for r in requests]
    earned = [(paid, scores, sum(max(each, 0) for each in paid)) for paid, scores in split if any(each > 0 for each in paid)]
    for k in (1, 5, 10):
        shares = [amount_at_k(paid, scores, k=k) for paid, scores, _ in earned]
        assert values[f"revenue_at_{k}"] == pytest.approx(_mean(shares, [total for _, _, total in earned]), nan_ok=True)


def test_amounts_among_the_first_by_hand() -> None:
    """40, 10 and -5 in the order 10, -5, 40: of 50 the first place has 10, the first three all; of tied ones each has a half."""
    assert amount_at_k([40, 10, -5], [0.1, 0.9, 0.5], k=1) == 10 / 50
    assert amount_at_k([40, 10, -5], [0.1, 0.9, 0.5], k=3) == 1
    assert amount_at_k([40, 10], [0.5, 0.5], k=1) == 25 / 50
    assert np.isnan(amount_at_k([0, -1], [0.5, 0.4], k=1))
