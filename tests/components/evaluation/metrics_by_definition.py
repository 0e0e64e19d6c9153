"""The ranking metrics of one request, each by its definition: what `components.evaluation.metrics.metric_accumulator` is compared with.

Shapes: `labels` [L], 1 where the shopper acted on the candidate and 0 elsewhere; `scores` [L], higher is better, in any unit; `gains`
[L], what an action is worth, 0 where there was none.

Ties: candidates with the same score are in no order of their own, so every metric here is its expected value over all orders of the tied
candidates. It follows that a model that gives all candidates one score is worth what a shuffle is worth, and that the order of the rows
never matters.

These are the definitions. `components.evaluation.metrics.metric_accumulator` computes the same values for many requests at once.
"""

from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray


def precision_at_k(labels: ArrayLike, scores: ArrayLike, *, k: int) -> float:
    """Expected share of positives among the first k places.

    The denominator is k even where the list is shorter: a list of two candidates, both positive, has a Precision@5 of 2/5.
    """
    return float(_expected_in_order(labels, scores)[:k].sum() / k)


def recall_at_k(labels: ArrayLike, scores: ArrayLike, *, k: int) -> float:
    """Expected share of the positives that stand among the first k places; NaN if there is no positive.

    A list with more than k positives can't reach 1.
    """
    positives = float((np.asarray(labels) > 0).sum())
    return float(_expected_in_order(labels, scores)[:k].sum() / positives) if positives else float("nan")


def hit_rate_at_k(labels: ArrayLike, scores: ArrayLike, *, k: int) -> float:
    """Probability that a positive stands among the first k places; NaN if there is no positive.

    Where k cuts a tied group of n with m positives, and t of its places are left, none is among them with probability
    C(n - m, t) / C(n, t). At k = 1 it is Precision@1.
    """
    label, score = np.asarray(labels) > 0, np.asarray(scores)
    if not label.any():
        return float("nan")
    best = score[label].max()
    ahead, n, m = int((score > best).sum()), int((score == best).sum()), int(label[score == best].sum())
    left = min(max(k - ahead, 0), n)
    return 1.0 - comb(n - m, left) / comb(n, left)


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Mean over the positives of the precision at their place, expected over the orders of tied candidates; NaN without a positive.

    The mean of it over requests is MAP. In a tied group of n with m positives, after `ahead` candidates with `hits` positives, a candidate
    at the j-th place from 0 is positive with probability m / n, and then hits + 1 + j (m - 1) / (n - 1) positives stand up to it (McSherry
    and Najork 2008, "Computing information retrieval performance measures efficiently in the presence of tied scores").
    """
    label, score = np.asarray(labels) > 0, np.asarray(scores)
    if not label.any():
        return float("nan")
    expected, ahead, hits = 0.0, 0, 0
    for level in np.unique(score)[::-1]:
        n, m = int((score == level).sum()), int(label[score == level].sum())
        others = (m - 1) / (n - 1) if n > 1 else 0.0
        expected += sum(m / n * (hits + 1 + j * others) / (ahead + j + 1) for j in range(n))
        ahead, hits = ahead + n, hits + m
    return expected / int(label.sum())


def ndcg_at_k(gains: ArrayLike, scores: ArrayLike, *, k: int) -> float:
    """Normalised discounted cumulative gain at k (Järvelin and Kekäläinen 2002), NaN if no gain is above 0.

    DCG@k = sum over the first k places, counted from 1, of gain / log2(place + 1), divided by the same sum in the best possible order.
    The gain enters as it is and not as 2^gain - 1: gains are the weights that the shop gave to its actions, and an exponential of a price
    is no price. For labels of 0 and 1 the two agree. A list shorter than k is summed to its end, above and below the line.
    """
    in_order = _expected_in_order(gains, scores)[:k]
    best = np.sort(np.asarray(gains, np.float64))[::-1][:k]
    discounts = 1.0 / np.log2(np.arange(2, len(best) + 2))
    ideal = float(best @ discounts)
    return float(in_order @ discounts) / ideal if ideal > 0 else float("nan")


def amount_at_k(amounts: ArrayLike, scores: ArrayLike, *, k: int) -> float:
    """Expected share of a request's amount (revenue, pieces, margin) that stands among the first k places; NaN if none is above 0.

    An amount below 0 counts as 0: a share of a sum of both signs means nothing. Over requests it is the mean weighted by the request's
    amount, and so the share of all that was earned that the first k places held.
    """
    earned = np.maximum(np.asarray(amounts, np.float64), 0.0)
    total = float(earned.sum())
    return float(_expected_in_order(earned, scores)[:k].sum()) / total if total > 0 else float("nan")


def request_auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Share of (positive, negative) pairs in which the positive scores higher, ties counting one half; NaN if either class is missing."""
    positive = np.asarray(labels) > 0
    score = np.asarray(scores)
    above = score[positive][:, None] > score[~positive][None, :]
    tied = score[positive][:, None] == score[~positive][None, :]
    return float((above + 0.5 * tied).mean()) if above.size else float("nan")


def reciprocal_rank(labels: ArrayLike, scores: ArrayLike) -> float:
    """Expected 1 / place of the first positive, places counted from 1; NaN if there is no positive.

    The first positive stands in the best tied group that has one. With `ahead` candidates before a group of n with m positives, it takes
    place ahead + 1 + j with probability C(n - 1 - j, m - 1) / C(n, m).
    """
    label, score = np.asarray(labels) > 0, np.asarray(scores)
    if not label.any():
        return float("nan")
    best = score[label].max()
    ahead, n, m = int((score > best).sum()), int((score == best).sum()), int(label[score == best].sum())
    expected, none_so_far = 0.0, 1.0
    for j in range(n - m + 1):
        expected += none_so_far * (m / (n - j)) / (ahead + 1 + j)
        none_so_far *= (n - j - m) / (n - j)
    return expected


def _expected_in_order(values: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """The values from the best score to the worst, each replaced by the mean of those that share its score."""
    _, group, size = np.unique(-np.asarray(scores, np.float64), return_inverse=True, return_counts=True)
    means = np.bincount(group, weights=np.asarray(values, np.float64)) / size
    return np.repeat(means, size)
