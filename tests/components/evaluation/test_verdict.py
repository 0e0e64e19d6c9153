"""The verdict passes a model that meets every gate, and says of each what it found."""

import math
from collections.abc import Mapping

import pytest

from components.contract.dataset import Gates
from components.contract.errors import DatasetFileError
from components.evaluation.captions import Slice
from components.evaluation.gates import check_metric_names
from components.evaluation.results import SliceMetrics
from components.evaluation.verdict import verdict

IOS: Slice = (("device", "ios"),)
WEB: Slice = (("device", "web"),)
GATES = Gates(floor={"auc": 0.7}, drop={"ndcg_at_10": 0.02}, slice_drop={"auc": 0.02}, min_requests=100)


def _pair(
    where: Slice, challenger: Mapping[str, float], champion: Mapping[str, float], requests: int = 1_300, error: float = 0.005
) -> list[SliceMetrics]:
    counts = {"requests": requests, "requests_without_positive": 97, "impressions": 10 * requests, "invalid_scores": 0}
    errors = {f"{name}_change_se": error for name in challenger}
    return [SliceMetrics(where, "challenger", counts | dict(challenger) | errors), SliceMetrics(where, "champion", counts | dict(champion))]


def _metrics(**changes: float) -> list[SliceMetrics]:
    good = {"auc": 0.812, "ndcg_at_10": 0.5}
    return _pair((), good | changes, good) + _pair(IOS, good, good)


def test_a_model_like_the_champion_passes_and_says_why() -> None:
    found = verdict(_metrics(), GATES, slices=[["device"]])
    assert found.passed
    assert found.sentences == (
        "Passed: AUC 0.812 is at least 0.700.",
        "Passed: NDCG@10 rose by 0.000 against the champion (± 0.010, limit 0.020, 1,203 requests).",
        "Passed: no AUC by device surely fell by more than 0.020 (1 judged).",
    )


def test_a_value_below_the_floor_is_refused() -> None:
    found = verdict(_metrics(auc=0.69), GATES, slices=[])
    assert not found.passed
    assert found.sentences[0] == "Refused: AUC 0.690 is below 0.700."


def test_a_fall_beyond_the_limit_is_refused_and_one_within_passes() -> None:
    assert verdict(_metrics(ndcg_at_10=0.481), GATES, slices=[]).passed
    found = verdict(_metrics(ndcg_at_10=0.466), GATES, slices=[])
    assert found.sentences[0] == "Refused: NDCG@10 fell by 0.034 against the champion (± 0.010, limit 0.020, 1,203 requests)."


def test_a_slice_that_fell_is_named() -> None:
    metrics = _metrics() + _pair(WEB, {"auc": 0.7}, {"auc": 0.8})
    found = verdict(metrics, GATES, slices=[["device"]])
    assert (
        found.sentences[0]
        == "Refused: AUC fell by 0.100 against the champion in device=web (surely by 0.090, limit 0.020, 1,203 requests)."
    )


def test_a_slice_that_may_have_fallen_by_chance_passes() -> None:
    # Down by 0.1 and 1.96 standard errors up again: 0.1 - 0.0784 is above the limit, 0.1 - 0.0804 below.
    for error, passed in ((0.040, False), (0.041, True)):
        assert verdict(_metrics() + _pair(WEB, {"auc": 0.7}, {"auc": 0.8}, error=error), GATES, slices=[["device"]]).passed == passed


def test_a_slice_without_an_interval_is_not_judged_and_that_is_told() -> None:
    found = verdict(_metrics() + _pair(WEB, {"auc": 0.7}, {"auc": 0.8}, error=math.nan), GATES, slices=[["device"]])
    assert found.passed
    assert found.sentences[-1].endswith("(1 judged, 1 without an interval).")


def test_a_slice_too_small_is_not_judged() -> None:
    metrics = _metrics() + _pair(WEB, {"auc": 0.1}, {"auc": 0.8}, requests=97 + 99)
    found = verdict(metrics, GATES, slices=[["device"]])
    assert found.passed
    assert "1 judged, 1 with fewer than 100" in found.sentences[-1]
    assert not verdict(_metrics() + _pair(WEB, {"auc": 0.1}, {"auc": 0.8}, requests=97 + 100), GATES, slices=[["device"]]).passed


def test_what_can_not_be_seen_is_refused() -> None:
    assert not verdict(_metrics(auc=math.nan), GATES, slices=[]).passed
    assert not verdict(_metrics(ndcg_at_10=math.nan), GATES, slices=[]).passed
    assert not verdict([], GATES, slices=[]).passed
    missing = verdict(_metrics(), GATES, slices=[["country"]])
    assert missing.sentences[0] == "Refused: no request has a value of country, by which slices were asked for."


def test_invalid_scores_are_refused() -> None:
    assert verdict(_metrics(invalid_scores=12), GATES, slices=[]).sentences[0] == "Refused: 12 of 13,000 scores are no finite numbers."


def test_a_refusal_shows_the_digits_that_decide() -> None:
    assert verdict(_metrics(auc=0.69996), GATES, slices=[]).sentences[0] == "Refused: AUC 0.69996 is below 0.70000."


def test_a_gate_on_an_unknown_metric_names_the_closest() -> None:
    with pytest.raises(DatasetFileError, match="ndcg_at_10"):
        verdict(_metrics(), Gates(drop={"ndcg_at_100": 0.1}), slices=[])


def test_a_gate_on_an_amount_needs_the_role() -> None:
    gates = Gates(floor={"revenue_at_5": 0.5}, drop={}, slice_drop={})
    check_metric_names(gates, amounts=["revenue"])
    with pytest.raises(DatasetFileError, match=r"gates: floor: 'revenue_at_5' needs the role 'revenue' in `events.columns`"):
        check_metric_names(gates, amounts=["margin"])
