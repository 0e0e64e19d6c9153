"""Reports and price file are checked against each other, and what can't be used is named with what to do."""

from collections.abc import Sequence
from datetime import date

import pytest

from benchmarks.roi.programmes import report
from components.contract.errors import InputError
from components.experiment.report_schema import Check, ExperimentReport
from components.experiment.roi.price_file import parse_price_file
from components.experiment.roi.programme import MARGIN, REVENUE, Programme, build_programme
from tests.components.experiment.roi.programme import PRICES, REPORTS, price_file, shop

UNTIL = date(2026, 4, 11)


def build(reports: Sequence[ExperimentReport], extra: str = "") -> Programme:
    return build_programme(reports, price_file(extra), until=UNTIL)


def test_what_was_shipped_counts_from_the_day_after_its_experiment() -> None:
    programme = build(REPORTS)
    assert [arm.experiment for arm in programme.arms] == ["one", "two", "three"]
    assert [arm.shipped_from for arm in programme.arms] == [date(2026, 1, 15), date(2026, 2, 3), None]
    assert programme.arms[0].shoppers_a_day == 2000
    assert (programme.arms[1].metrics[REVENUE].effect, programme.arms[1].metrics[REVENUE].control) == (pytest.approx(0.36), 12)


def test_the_price_file_says_when_it_was_shipped_and_what_share_it_took() -> None:
    arm = build(REPORTS, "experiments: {one: {from: 2026-02-01, until: 2026-03-01, traffic: 20%}}\n").arms[0]
    assert (arm.shipped_from, arm.shipped_until, arm.shoppers_a_day) == (date(2026, 2, 1), date(2026, 3, 1), 10_000)


def test_experiments_at_once_are_refused_unless_they_are_said_to_be_independent() -> None:
    overlapping = (shop("one"), shop("two", "2026-01-14"))
    with pytest.raises(InputError, match=r"one \(2026-01-01 to 2026-01-14\) and two .* overlapping periods.*concurrent: \[\[one, two\]\]"):
        build(overlapping)
    assert len(build(overlapping, "concurrent: [[one, two]]\n").arms) == 2
    assert len(build((shop("one"), shop("two", "2026-01-15"))).arms) == 2


def test_the_holdout_is_no_experiment_and_may_run_all_the_time() -> None:
    everybody = report("rest", {REVENUE: (0.02, 0.01)}, first_day=date(2026, 1, 1), days=90, shipped=False, control_share=0.05)
    programme = build((*REPORTS, everybody), "holdout: rest\n")
    assert programme.experiments == 3
    assert programme.holdout is not None
    assert programme.holdout.metrics[REVENUE].effect == pytest.approx(0.24)


def test_a_metric_that_a_report_lacks_is_left_out_with_the_reason() -> None:
    programme = build((shop("one"), shop("two", "2026-02-01", margin=False)))
    assert programme.left_out[MARGIN] == "two lacks it: the dataset has no such column"


def test_a_fault_of_what_was_shipped_is_a_caution() -> None:
    fault = Check(name="sample ratio", severity="fault", text="the split isn't as declared")
    programme = build((shop("one").model_copy(update={"checks": (fault,)}),))
    assert programme.cautions == ("one: the split isn't as declared",)


@pytest.mark.parametrize(
    ("reports", "extra", "message"),
    [
        ((shop("one").model_copy(update={"currency": "USD"}),), "", "one: its report is in USD, the price file in EUR"),
        ((shop("one").model_copy(update={"currency": None}),), "", "in no currency"),
        ((shop("one"), shop("one", "2026-03-01")), "", "expected one report of each experiment, got two"),
        ((shop("one"),), "experiments: {onr: {}}\n", "names an experiment 'onr'.*did you mean 'one'"),
        ((shop("one"),), "holdout: rest\n", "names an experiment 'rest'"),
        ((shop("one"),), "experiments: {one: {from: 2026-01-14}}\n", "while the experiment ran until 2026-01-14"),
        ((shop("one"),), "experiments: {one: {from: 2026-05-01}}\n", "after the last day that counts"),
        ((shop("one", shipped=False),), "experiments: {one: {from: 2026-02-01}}\n", "its report that it wasn't"),
        ((shop("one").model_copy(update={"shipped": "nwe"}),), "", "'nwe' was shipped; did you mean 'new'"),
        ((report("one", {MARGIN: (0.1, 0.1)}, first_day=date(2026, 1, 1), shipped=True),), "", f"expected the metric '{REVENUE}'"),
        ((shop("rest"),), "holdout: rest\n", "at least one experiment besides the holdout"),
    ],
)
def test_what_cant_be_used_is_named(reports: Sequence[ExperimentReport], extra: str, message: str) -> None:
    with pytest.raises(InputError, match=f"(?s){message}"):
        build(reports, extra)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("currency: EUR", "currency: EURO", "line 2: currency: unknown currency 'EURO'; expected a code of ISO 4217"),
        ("until: 2026-04-11", "until: 2025-04-11", "line 4: until: expected a day after 2026-01-01"),
        ("core_hour:", "core_hours:", "line 6.*unknown key 'core_hours'; did you mean 'core_hour'"),
        ("person_hour: 80", "person_hour: -1", "line 9: prices.person_hour"),
        ("person_hour: 80", "person_hour: .inf", "line 9: prices.person_hour"),
        ("person_hour: 80", "person_hour: much", "line 9: prices.person_hour"),
        ("serving:", "effects: {margin: 1.2}\nserving:", "expected margin over revenue, from 0 to 1, got 1.2"),
        ("serving:", "effects: {half_life_days: 0}\nserving:", "expected days above 0"),
        ("serving:", "experiments: {a: {from: 2026-02-02, until: 2026-02-02}}\nserving:", "expected a day after 2026-02-02"),
    ],
)
def test_a_fault_of_the_price_file_has_its_line(old: str, new: str, message: str) -> None:
    assert old in PRICES
    with pytest.raises(InputError, match=f"(?s){message}"):
        parse_price_file(PRICES.replace(old, new))


def test_a_number_may_have_its_source() -> None:
    prices = price_file().prices
    assert (prices.core_hour.value, prices.core_hour.source) == (0.05, "price list <of> March")
    assert (prices.gpu_hour.value, prices.gpu_hour.source) == (1.0, "price file, which names no source")
