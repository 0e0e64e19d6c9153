"""Windows of several lengths: what a day is too short for shows in a week, and a clean log alarms no more often than one window."""

import pytest

from components.contract.errors import DatasetFileError
from components.contract.load import parse_dataset
from components.drift.check import Window, check
from components.drift.decision import Action
from components.drift.horizons import DAY_US, merged, nested, starts
from components.drift.report.build_report import Subject, build_joint_report
from components.drift.report.drift_report import DriftReport
from tests.components.drift.synthetic import choice, lognormal, window
from tests.components.drift.test_drift_report import DATASET, TEXT

A_DAY, REFERENCE = 400, range(100, 114)
SHARES = {"app": 0.5, "web": 0.3, "kiosk": 0.2}


def day(number: int, *, seed: int, new: float = 0.0, app: float = 0.5) -> Window:
    """A day's requests; `new` is the share with a device that the reference lacks, `app` that of apps among the others."""
    others = {name: share * (1 - app) / (1 - SHARES["app"]) for name, share in SHARES.items() if name != "app"}
    shares = {name: share * (1 - new) for name, share in (others | {"app": app}).items()} | {"watch": new}
    make = {"device": choice(shares), "price": lognormal(), "weight": lognormal()}
    return Window(window(make, seed=1_000 * seed + number, days=range(number, number + 1), rows=A_DAY))


@pytest.fixture(scope="module")
def reference() -> Window:
    make = {"device": choice(SHARES), "price": lognormal(), "weight": lognormal()}
    return Window(window(make, seed=1, days=REFERENCE, rows=14 * A_DAY))


def judged(reference: Window, days: list[Window]) -> DriftReport:
    """Judge the last 1, 3 and 7 days together."""
    parts = [days[-7:-3], days[-3:-1], days[-1:]]
    subjects = [
        Subject(release="release 3", reference=reference, window=each) for _, each in nested(Window(), [merged(part) for part in parts])
    ]
    return build_joint_report(subjects, DATASET, now_s=1e9)


def test_windows_begin_so_many_days_before_their_end_as_far_as_there_is_a_log() -> None:
    assert starts((1, 3, 7), since_us=0, end_us=10 * DAY_US) == [3 * DAY_US, 7 * DAY_US, 9 * DAY_US]
    assert starts((1, 3, 7), since_us=8 * DAY_US, end_us=10 * DAY_US) == [8 * DAY_US, 9 * DAY_US]
    assert starts((1, 3, 7), since_us=10 * DAY_US - 1, end_us=10 * DAY_US) == [10 * DAY_US - 1]


def test_each_window_has_all_that_came_before_it() -> None:
    before, *parts = (day(number, seed=2) for number in range(4))
    found = [(earlier.sketch.days, later.sketch.days) for earlier, later in nested(before, parts)]
    assert found == [([0, 1, 2], [3]), ([0, 1], [2, 3]), ([0], [1, 2, 3])]


def test_what_a_day_is_too_short_for_is_named_in_a_longer_window(reference: Window) -> None:
    report = judged(reference, [day(number, seed=3, app=0.545) for number in range(114, 121)])
    assert [each.action for each in report.windows] == [Action.NOTHING, Action.NOTHING, Action.RETRAIN_WARM]
    (reason,) = report.decision.reasons
    assert (reason.subject, report.decision.action) == ("device", Action.RETRAIN_WARM)
    assert reason.text.endswith("; since 1970-04-25 00:00 UTC.")
    assert report.window.requests == 7 * A_DAY  # the tables are of the window that says so


def test_a_fault_that_all_windows_name_is_one_reason_of_the_shortest(reference: Window) -> None:
    report = judged(reference, [day(number, seed=4, new=0.2) for number in range(114, 121)])
    (reason,) = report.decision.reasons
    assert (reason.kind, reason.subject) == ("new categories", "device")
    assert reason.text.endswith("; since 1970-05-01 00:00 UTC.")
    assert report.window.requests == A_DAY


def test_three_windows_of_a_clean_log_alarm_together_no_more_often_than_promised(reference: Window) -> None:
    rate, alarms, runs = 0.05, 0, 60
    for seed in range(10, 10 + runs):
        days = [day(number, seed=seed) for number in range(114, 121)]
        windows = [merged(days[-length:]) for length in (1, 3, 7)]
        alarms += any(check(reference, each, DATASET, false_discovery_rate=rate / 3).alarms for each in windows)
    assert alarms <= 8  # of 60 at 5 %: more comes once in a hundred


def test_horizons_ascend(reference: Window) -> None:
    assert parse_dataset(TEXT).drift.horizons == (1, 3, 7)
    assert parse_dataset(TEXT + "drift: {horizons: [2]}\n").drift.horizons == (2,)
    for wrong in ("[3, 1]", "[1, 1]", "[]", "[0]"):
        with pytest.raises(DatasetFileError):
            parse_dataset(f"{TEXT}drift: {{horizons: {wrong}}}\n")
