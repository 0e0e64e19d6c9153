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
    assert (
        f"{abs(later)} h {'later' if later > 0 else 'earlier'}"
        in volume_reasons(volume, fewer=False, moved=volume.course_p < 0.001)[0].text
    )


def test_a_weekend_is_compared_with_weekends() -> None:
    def weekly(days: range, seed: int) -> Counter[int]:
        return sum((hours(range(day, day + 1), seed=seed + day, factor=2.0 if day % 7 in (2, 3) else 1.0) for day in days), Counter())

    reference = weekly(range(21), 0)
    for day in range(21, 28):
        volume = compare_volume(reference, weekly(range(day, day + 1), 100))
        assert volume is not None
        assert volume.ratio == pytest.approx(1, abs=0.25)
        assert volume.p > 0.01
    lost = compare_volume(reference, Counter({hour: count * 2 // 3 for hour, count in weekly(range(23, 24), 100).items()}))
    assert lost is not None
    assert lost.p < 0.01  # a day of a weekend with the requests of another day


def test_requests_that_come_in_visits_move_no_course() -> None:
    def visits(days: range, seed: int) -> Counter[int]:
        rng = np.random.default_rng(seed)
        counts: Counter[int] = Counter()
        for day in days:
            for hour in rng.choice(24, 60, p=COURSE / COURSE.sum()):
                counts[day * 24 + int(hour)] += int(rng.geometric(1 / 6))
        return counts

    reference = visits(range(21), 0)
    moved = [compare_volume(reference, visits(range(21 + day, 22 + day), 1 + day)) for day in range(200)]
    assert sum(each is not None and each.course_p < 0.05 for each in moved) <= 18  # of 200 at 5 %: more comes once in a hundred


@pytest.mark.parametrize("later", [1, -1])
def test_a_course_that_is_an_hour_off_is_sure_after_three_weeks(later: int) -> None:
    volume = compare_volume(hours(range(21), seed=0), hours(range(21, 22), seed=1, later=later))
    assert volume is not None
    assert volume.shift_hours == later
    assert volume.course_p < 1e-4


def test_an_even_course_has_no_rotation() -> None:
    def even(days: range, seed: int) -> Counter[int]:
        return Counter(np.random.default_rng(seed).integers(days.start * 24, days.stop * 24, 500 * len(days)).tolist())

    for seed in range(20):
        volume = compare_volume(even(range(14), seed), even(range(14, 15), 100 + seed))
        assert volume is not None
        assert volume.course_p > 0.01


def test_a_short_reference_says_nothing() -> None:
    assert compare_volume(hours(range(3), seed=0), hours(range(3, 4), seed=1)) is None
