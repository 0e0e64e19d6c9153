"""The verdict passes a model that meets every gate, and says of each what it found."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest

from components.contract.dataset import Gates
from components.contract.errors import DatasetFileError
from components.evaluation.display_names import Slice
from components.evaluation.gates.gate_result import check_gates
from components.evaluation.gates.metric_names import check_metric_names
from components.evaluation.results import SliceMetrics

IOS: Slice = (("device", "ios"),)
WEB: Slice = (("device", "web"),)
GATES = Gates(floor={"auc": 0.7}, drop={"ndcg_at_10": 0.02}, slice_drop={"auc": 0.02}, min_shoppers=100)


def _pair(
    where: Slice, challenger: Mapping[str, float], champion: Mapping[str, float], shoppers: int = 401, error: float = 0.005
) -> list[SliceMetrics]:
    """Three requests with a positive each of so many shoppers, and 97 requests of 30 other shoppers without one."""
    counts = {"requests": 3 * shoppers + 97, "requests_without_positive": 97, "impressions": 30 * shoppers + 970, "invalid_scores": 0}
    counts |= {"shoppers": shoppers + 30, "shoppers_without_positive": 30, "effective_shoppers": shoppers}
    errors = {f"{name}_change_se": error for name in challenger}
    return [SliceMetrics(where, "challenger", counts | dict(challenger) | errors), SliceMetrics(where, "champion", counts | dict(champion))]


def _metrics(**changes: float) -> list[SliceMetrics]:
    good = {"auc": 0.812, "ndcg_at_10": 0.5}
    return _pair((), good | changes, good) + _pair(IOS, good, good)


def test_a_model_like_the_champion_passes_and_says_why() -> None:
    found = check_gates(_metrics(), GATES, slices=[["device"]])
    assert found.passed
    assert found.sentences == (
        "Passed: AUC 0.812 is at least 0.700.",
        "Passed: NDCG@10 rose by 0.000 against the champion (± 0.010, limit 0.020, 1,203 requests of 401 shoppers).",
        "Passed: no AUC by device surely fell by more than 0.020 (1 judged among 1 comparison).",
    )


def test_a_value_below_the_floor_is_refused() -> None:
    found = check_gates(_metrics(auc=0.69), GATES, slices=[])
    assert not found.passed
    assert found.sentences[0] == "Refused: AUC 0.690 is below 0.700."


def test_a_fall_that_is_surely_beyond_the_limit_is_refused() -> None:
    found = check_gates(_metrics(ndcg_at_10=0.466), GATES, slices=[])
    assert (
        found.sentences[0] == "Refused: NDCG@10 fell by 0.034 against the champion (± 0.010, limit 0.020, 1,203 requests of 401 shoppers)."
    )


def test_a_fall_beyond_the_limit_that_may_be_chance_passes_and_says_so() -> None:
    found = check_gates(_metrics(ndcg_at_10=0.471), GATES, slices=[])
    assert found.passed
    assert found.sentences[1] == (
        "Passed: NDCG@10 fell by 0.029 against the champion (± 0.010, limit 0.020, 1,203 requests of 401 shoppers),"
        " not surely by more than the limit."
    )


def test_a_fall_of_too_few_shoppers_is_not_judged_and_that_is_told() -> None:
    good = {"auc": 0.812, "ndcg_at_10": 0.5}
    found = check_gates(_pair((), good | {"ndcg_at_10": 0.1}, good, shoppers=9), GATES, slices=[])
    assert found.passed
    assert "not judged: no interval with fewer than 10 shoppers who have a positive, 27 requests of 9 shoppers" in found.sentences[1]


def test_the_metrics_of_the_whole_window_are_one_family() -> None:
    """A fall that one comparison alone would refuse may be chance where the more surely fallen of two isn't refused."""
    gates = Gates(floor={}, drop={"auc": 0.02, "ndcg_at_10": 0.02}, slice_drop={})
    good = {"auc": 0.812, "ndcg_at_10": 0.5}
    fallen = good["ndcg_at_10"] - 0.02 - 0.0105  # 2.1 standard errors beyond the limit
    assert check_gates(_pair((), good | {"ndcg_at_10": fallen}, good), gates, slices=[]).passed
    assert not check_gates(_pair((), {"auc": 0.5, "ndcg_at_10": fallen}, good), gates, slices=[]).passed


def test_a_slice_that_fell_is_named() -> None:
    metrics = _metrics() + _pair(WEB, {"auc": 0.7}, {"auc": 0.8})
    found = check_gates(metrics, GATES, slices=[["device"]])
    assert found.sentences[0] == (
        "Refused: AUC fell by 0.100 against the champion in device=web"
        " (surely by 0.089 among 2 comparisons, limit 0.020, 1,203 requests of 401 shoppers)."
    )


def test_a_slice_that_may_have_fallen_by_chance_passes() -> None:
    # Alone, 0.1 is surely beyond 0.02 up to an error of 0.08 / t(0.975, 400) = 0.0407.
    for error, passed in ((0.0401, False), (0.0411, True)):
        metrics = _metrics()[:2] + _pair(WEB, {"auc": 0.7}, {"auc": 0.8}, error=error)
        assert check_gates(metrics, GATES, slices=[["device"]]).passed == passed


def test_among_forty_slices_it_takes_more_to_be_sure_of_a_fall() -> None:
    """Holm: the lowest of 40 p-values is held against a fortieth, 3.2 standard errors, and those after it against more."""

    def among(others: int, *sigmas: float) -> bool:
        slices = [_pair((("device", f"d{i}"),), {"auc": 0.8 - 0.02 - 0.01 * z}, {"auc": 0.8}, error=0.01) for i, z in enumerate(sigmas)]
        slices += [_pair((("device", f"good{i}"),), {"auc": 0.8}, {"auc": 0.8}, error=0.01) for i in range(others)]
        return check_gates(_metrics()[:2] + [each for pair in slices for each in pair], GATES, slices=[["device"]]).passed

    assert not among(0, 2.2)
    assert among(39, 2.2)
    assert among(39, 3.1)
    assert not among(39, 3.4)
    found = among(1, 2.1)  # two comparisons: 2.24 standard errors
    assert found
    assert not among(1, 2.1, 4.0)


def test_a_slice_without_an_interval_is_not_judged_and_that_is_told() -> None:
    found = check_gates(_metrics() + _pair(WEB, {"auc": 0.7}, {"auc": 0.8}, error=math.nan), GATES, slices=[["device"]])
    assert found.passed
    assert found.sentences[-1].endswith("(1 judged among 1 comparison, 1 without an interval).")


def test_a_slice_of_few_shoppers_is_not_judged_however_many_requests_they_have() -> None:
    few = _pair(WEB, {"auc": 0.1}, {"auc": 0.8}, shoppers=99)
    metrics = _metrics() + [replace(each, values=dict(each.values) | {"requests": 50_000}) for each in few]
    found = check_gates(metrics, GATES, slices=[["device"]])
    assert found.passed
    assert "1 judged among 1 comparison, 1 with fewer than 100 shoppers" in found.sentences[-1]
    assert not check_gates(_metrics() + _pair(WEB, {"auc": 0.1}, {"auc": 0.8}, shoppers=100), GATES, slices=[["device"]]).passed


def test_what_can_not_be_seen_is_refused() -> None:
    assert not check_gates(_metrics(auc=math.nan), GATES, slices=[]).passed
    assert not check_gates(_metrics(ndcg_at_10=math.nan), GATES, slices=[]).passed
    assert not check_gates([], GATES, slices=[]).passed
    missing = check_gates(_metrics(), GATES, slices=[["country"]])
    assert missing.sentences[0] == "Refused: no request has a value of country, by which slices were asked for."


def test_invalid_scores_are_refused() -> None:
    assert check_gates(_metrics(invalid_scores=12), GATES, slices=[]).sentences[0] == "Refused: 12 of 13,000 scores are no finite numbers."


def test_a_refusal_shows_the_digits_that_decide() -> None:
    assert check_gates(_metrics(auc=0.69996), GATES, slices=[]).sentences[0] == "Refused: AUC 0.69996 is below 0.70000."


def test_a_gate_on_an_unknown_metric_names_the_closest() -> None:
    with pytest.raises(DatasetFileError, match="ndcg_at_10"):
        check_gates(_metrics(), Gates(drop={"ndcg_at_100": 0.1}), slices=[])


def test_a_gate_on_an_amount_needs_the_role() -> None:
    gates = Gates(floor={"revenue_at_5": 0.5}, drop={}, slice_drop={})
    check_metric_names(gates, amounts=["revenue"])
    with pytest.raises(DatasetFileError, match=r"gates: floor: 'revenue_at_5' needs the role 'revenue' in `events.columns`"):
        check_metric_names(gates, amounts=["margin"])
