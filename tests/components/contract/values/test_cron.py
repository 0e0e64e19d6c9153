"""Kubeflow's cron, against robfig/cron 1.2's own examples and hand-worked days."""

from datetime import UTC, datetime

import pytest

from components.contract.errors import InputError
from components.contract.values.cron import parse_cron
from components.contract.values.data_cutoff import resolved, scheduled, zone_of


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "moment", "following"),
    [
        # Simple cases and wraps of robfig/cron's spec_test.go.
        ("0 0/15 * * *", "2012-07-09T14:45:00", "2012-07-09T15:00:00"),
        ("0 0/15 * * * *", "2012-07-09T14:59:59", "2012-07-09T15:00:00"),
        ("0 20-35/15 * * * *", "2012-07-09T15:45:00", "2012-07-09T16:20:00"),
        ("15/35 20-35/15 * * * *", "2012-07-09T23:46:00", "2012-07-10T00:20:15"),
        ("15/35 20-35/15 1/2 * * *", "2012-07-09T23:46:00", "2012-07-10T01:20:15"),
        ("15/35 20-35/15 10-12 * * *", "2012-07-09T23:46:00", "2012-07-10T10:20:15"),
        ("15/35 20-35/15 1/2 */2 * *", "2012-07-09T23:46:00", "2012-07-11T01:20:15"),
        ("15/35 20-35/15 * 9-20 Jul *", "2012-07-09T23:46:00", "2012-07-10T00:20:15"),
        ("0 0 0 9 Apr-Oct ?", "2012-07-09T23:35:00", "2012-08-09T00:00:00"),
        ("0 0 0 */5 Apr,Aug,Oct Mon", "2012-07-09T23:35:00", "2012-08-06T00:00:00"),
        ("0 0 0 29 Feb ?", "2012-07-09T23:35:00", "2016-02-29T00:00:00"),
        ("0 0 0 29 7 Mon", "2012-07-24T00:00:00", "2012-07-29T00:00:00"),
        ("@weekly", "2026-11-28T00:00:00", "2026-11-29T00:00:00"),
    ],
)
def test_the_next_time(cron: str, moment: str, following: str) -> None:
    parsed = parse_cron(cron)
    assert parsed.after(at(moment), 1) == [at(following)]
    assert parsed.last(at(following)) == at(following)


def test_five_fields_are_crontabs_and_not_the_first_five_of_kubeflows_six() -> None:
    assert parse_cron("0 3 * * *").text == "0 0 3 * * *"
    assert parse_cron("0 3 * * *").after(at("2026-11-28T00:00:00"), 3) == [at(f"2026-11-{day}T03:00:00") for day in (28, 29, 30)]


def test_the_last_time_is_the_same_up_to_the_next() -> None:
    cron = parse_cron("0 0 3 * * 1")
    assert {cron.last(at(moment)) for moment in ("2026-11-23T03:00:00", "2026-11-25T12:00:00", "2026-11-30T02:59:59")} == {
        at("2026-11-23T03:00:00")
    }


def test_a_time_zone_is_that_of_the_clock_on_the_wall() -> None:
    berlin, cron = zone_of("Europe/Berlin"), parse_cron("0 0 3 * * *")
    summer_then_winter = cron.after(at("2026-10-24T00:00:00"), 2, zone=berlin)
    assert [each.astimezone(UTC) for each in summer_then_winter] == [at("2026-10-24T01:00:00"), at("2026-10-25T02:00:00")]


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("", "got 0 fields"),
        ("0 3", "got 2 fields"),
        ("0 0 3 * * * 2026", "got 7 fields"),
        ("@every 1h", "got 2 fields"),
        ("60 * * * * *", "expected the second to be from 0 to 59, got '60'"),
        ("0 0 24 * * *", "expected the hour to be from 0 to 23, got '24'"),
        ("0 0 3 0 * *", "expected the day of the month to be from 1 to 31, got '0'"),
        ("0 0 3 * * 7", "expected the day of the week to be from 0 to 6 or sun/mon/tue/wed/thu/fri/sat, got '7'"),
        ("0 0 3 * foo *", "expected the month to be from 1 to 12"),
        ("0 0 5-3 * * *", "from the smaller to the greater, got '5-3'"),
        ("0 */0 * * * *", "expected a step from 1 on"),
        ("0 */x * * * *", "expected a step from 1 on"),
        ("0 0 3 L * *", "got 'L'"),
        ("0 0 3 , * *", "expected the day of the month to be a number, got ','"),
        ("0 0 3 30 2 ?", "never comes round"),
    ],
)
def test_what_kubeflow_would_refuse_is_refused(cron: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_cron(cron)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("told", "end"),
    [
        ("", ""),
        ("2026-11-28", "2026-11-28"),
        ("2026-11-28T03:00:00+01:00", "2026-11-28T03:00:00+01:00"),
        ("20261128030000", "2026-11-28T03:00:00+00:00"),  # what [[ScheduledTime]] would be
        (scheduled(parse_cron("0 0 3 * * *")), "2026-11-28T03:00:00+00:00"),
        (scheduled(parse_cron("0 0 3 * * *"), "Europe/Berlin"), "2026-11-28T03:00:00+01:00"),
        (scheduled(parse_cron("0 0 9 * * *")), "2026-11-27T09:00:00+00:00"),
        ("cron 0 0 3 * * *", "2026-11-28T03:00:00+00:00"),
    ],
)
def test_where_the_data_ends(told: str, end: str) -> None:
    assert resolved(told, at("2026-11-28T08:15:00")) == end


@pytest.mark.parametrize("told", ["[[ScheduledTime.2006-01-02T15:04:05Z]]", "cron 0 0 3", "cron 0 0 3 * * * in Europe/Berlim"])
def test_where_the_data_ends_can_be_told_wrongly(told: str) -> None:
    with pytest.raises(InputError, match="expected"):
        resolved(told, at("2026-11-28T08:15:00"))
