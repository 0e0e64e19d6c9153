"""What the service tells Prometheus of its orders: the deadline, what was degraded, the model's time, and the scores' distribution."""

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from serving.service.metrics.score_metrics import BINS, MAX_SERIES, ScoreMetrics
from tests.serving.service.conftest import Started
from tests.serving.service.little_shop import ITEMS

NOBODY = {"model_server": "127.0.0.1:1"}


def test_latency_can_be_compared_with_the_deadline(started: Started) -> None:
    assert started(deadline_ms=250).counted("shelfrank_deadline_seconds") == 0.25


def test_an_order_is_degraded_once_however_much_went_wrong(started: Started) -> None:
    service = started(places=NOBODY, previous="previous", deadline_ms=500)
    for _ in range(2):
        service.rank("p0", "p1")
    assert service.counted('shelfrank_degraded_orders_total{label="stable"}') == 2
    assert service.counted('shelfrank_degraded_total{reason="unreachable"}') == 4
    assert service.counted('shelfrank_model_seconds_count{label="stable"}') == 2


def test_a_whole_order_is_not_degraded_and_the_models_time_is_told(started: Started) -> None:
    service = started()
    service.rank("p0", "p1")
    assert service.counted('shelfrank_degraded_orders_total{label="stable"}') == 0
    assert service.counted('shelfrank_model_seconds_count{label="stable"}') == 1
    assert 0 < service.counted('shelfrank_model_seconds_sum{label="stable"}') < 5
    assert 'shelfrank_failing{what="state"} 0.0' in service.get("/metrics").body.decode()


def test_scores_of_the_model_are_counted_by_version_and_bin_and_those_of_a_stand_in_are_not(started: Started) -> None:
    service = started()
    service.rank(*ITEMS)  # log(10) and more
    assert service.counted('shelfrank_scores_total{bin="0.95",label="stable",version="2"}') == len(ITEMS)
    assert service.counted('shelfrank_scores_total{bin="0.00",label="stable",version="2"}') == 0
    stood_in = started(places=NOBODY)
    stood_in.rank(*ITEMS)
    assert "shelfrank_scores_total{" not in stood_in.get("/metrics").body.decode()


def test_a_score_is_in_the_bin_that_begins_at_or_below_it() -> None:
    registry, scores = CollectorRegistry(), ScoreMetrics()
    registry.register(scores)
    scores.add("stable", 1, np.array([-3.0, 0.0, 0.049, 0.05, 0.5, 0.999, 1.0, 7.0]))

    def counted(begin: str) -> float | None:
        return registry.get_sample_value("shelfrank_scores_total", {"label": "stable", "version": "1", "bin": begin})

    expected = {"0.00": 3, "0.05": 1, "0.50": 1, "0.95": 3}
    assert {begin: counted(begin) for begin in BINS} == {begin: expected.get(begin, 0) for begin in BINS}


def test_of_many_versions_the_one_that_was_quiet_for_longest_is_let_go() -> None:
    registry, scores = CollectorRegistry(), ScoreMetrics()
    registry.register(scores)
    for version in range(MAX_SERIES):
        scores.add("stable", version, np.array([0.5]))
    scores.add("stable", 0, np.array([0.5]))
    scores.add("stable", MAX_SERIES, np.array([0.5]))
    (family,) = registry.collect()
    assert {sample.labels["version"] for sample in family.samples} == {str(n) for n in range(MAX_SERIES + 1) if n != 1}


@pytest.mark.parametrize("shopper", ["", "a"])
def test_without_experiments_no_arm_is_counted(started: Started, shopper: str) -> None:
    service = started()
    service.rank("p0", "p1", shopper=shopper, places=1)
    assert "shelfrank_arm_shown_total{" not in service.get("/metrics").body.decode()
