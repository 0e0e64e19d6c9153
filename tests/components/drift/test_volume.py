from collections import Counter

import numpy as np
import pytest

from components.drift.comparison.volume import compare_volume
from components.drift.faults.log_faults import volume_reasons

COURSE = 20 + 100 * np.exp(-(((np.arange(24) - 15) / 4) ** 2))  # requests by hour of the day


def hours(days: range, *, seed: int, factor: float = 1.0, later: int = 0, by_day: float = 0.08) -> Counter[int]:
    rng = np.random.default_rng(seed)
    counts: Counter[int] = Counter()
    for day in days:
        level = factor * np.exp(rng.normal(0, by_day))
        for hour, mean in enumerate(COURSE * level):
            counts[day * 24 + hour + later] += int(rng.poisson(mean))
    return counts


def test_a_usual_day_has_neither_lost_requests_nor_another_course() -> None:
    for seed in range(20):
        volume = compare_volume(hours(range(14), seed=seed), hours(range(14, 15), seed=100 + seed))
        assert volume is not None
        assert volume.course_p > 0.001
        assert volume.ratio == pytest.approx(1, abs=0.4)
        assert volume_reasons(volume, fewer=volume.p < 0.001, moved=volume.course_p < 0.001) == []


def test_half_of_the_requests_lost_is_sure_after_a_day() -> None:
    volume = compare_volume(hours(range(14), seed=0), hours(range(14, 15), seed=1, factor=0.5))
    assert volume is not None
    assert volume.p < 1e-4
    (reason,) = volume_reasons(volume, fewer=True, moved=False)
    assert reason.kind == "lost requests"
    assert "servers, logs or a part of the shop" in reason.text


def test_hours_of_a_window_are_compared_with_the_same_hours_of_the_day() -> None:
    morning = Counter({hour: count for hour, count in hours(range(14, 15), seed=1).items() if hour < 14 * 24 + 8})
    volume = compare_volume(hours(range(14), seed=0), morning)
    assert volume is not None
    assert volume.ratio == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("later", [2, -3])
def test_a_days_course_that_is_moved_is_found_with_its_hours(later: int) -> None:
    volume = compare_volume(hours(range(14), seed=0), hours(range(14, 15), seed=1, later=later))
    assert volume is not None
    assert volume.shift_hours == later
    assert f"{abs(later)} h {'later' if later > 0 else 'earlier'}" in volume_reasons(volume, fewer=False, moved=volume.course_p < 0.001)[0].text


def test_a_short_reference_says_nothing() -> None:
    assert compare_volume(hours(range(3), seed=0), hours(range(3, 4), seed=1)) is None
