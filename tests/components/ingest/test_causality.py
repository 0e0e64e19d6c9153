"""Nothing from the future: what comes at or after a request's moment changes none of its features, whoever did it.

What makes a request up is its own, whenever its rows were logged: the impressions that share its name (a list has one moment, that of its
first row), or what was taken in it where candidates are sampled.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.components.ingest.generators.random_shops import (
    DAY_US,
    MOMENTS,
    SECOND,
    SHOPS,
    START_US,
    Columns,
    Event,
    Shop,
    dataset_text,
    events,
    everything_or_nothing,
    write_log,
)
from tests.components.ingest.oracle import LABELS, Request, understood

Key = tuple[str, str]


def dated(shop: Shop) -> Shop:
    """The shop with windows that don't move with the log; most requests train."""
    return replace(shop, train="2026-02-01", evaluate="2026-02-06", test="2026-02-07", until="2026-03-01")


def examples(shop: Shop, log: list[Event]) -> dict[Key, Columns]:
    if not log:
        return {}
    with tempfile.TemporaryDirectory() as name:
        folder, text = Path(name), dataset_text(dated(shop))
        write_log(folder, log)
        return {key: columns for key, (_, columns) in everything_or_nothing(text, folder, folder / "out").items()}


def forms_a_request(shop: Shop, event: Event) -> bool:
    """Whether a row has a say in which requests there are and what they consist of."""
    return event.action in LABELS if shop.sampled else event.action == "impression" or bool(event.shown)


def may_be_of(event: Event, request: Request) -> bool:
    """Whether a row may belong to a request: a guest's may, whoever the request's shopper turns out to be."""
    return event.request == request.name and (not event.user or request.who == ("user", event.user))


@st.composite
def other_futures(draw: st.DrawFn, shop: Shop, log: list[Event], moment_us: int) -> list[Event]:
    """The log with events at or after a moment altered, removed and added; the rows of requests that began by then stay as they are."""
    begun = [request for request in understood(shop, log)[0] if request.time_us <= moment_us]

    def free(event: Event) -> bool:
        return event.time_us >= moment_us and not (forms_a_request(shop, event) and any(may_be_of(event, request) for request in begun))

    # Later, or at that very moment.
    later = st.one_of(st.just(moment_us), MOMENTS).map(lambda time_us: max(time_us, moment_us))
    new = events(shop).flatmap(lambda rows: st.tuples(st.sampled_from(rows), later)).map(lambda pair: pair[0]._replace(time_us=pair[1]))
    new = new.filter(free)
    if shop.form == "sampling by event":
        # Such a request is named by its row, so none may move, and a row that takes something is a request.
        new = new.filter(lambda event: not forms_a_request(shop, event) or event.time_us > moment_us)
    nothing = Event(moment_us, "", "", "wave")
    changed: list[Event] = []
    for event in log:
        fate = draw(st.sampled_from(["kept", "altered", "removed"])) if free(event) and not own_by_row(shop, event, moment_us) else "kept"
        if fate == "altered":
            changed.append(draw(new))
        elif fate == "kept":
            changed.append(event)
        elif shop.form == "sampling by event":
            changed.append(nothing)
    return changed + draw(st.lists(new, max_size=5))


def own_by_row(shop: Shop, event: Event, moment_us: int) -> bool:
    return shop.form == "sampling by event" and forms_a_request(shop, event) and event.time_us == moment_us


def same(result: list[Any], wanted: list[Any]) -> bool:
    return str(result) == str(wanted)  # NaN is like NaN


def differing(result: dict[Key, Columns], wanted: dict[Key, Columns], *, labels: bool) -> dict[Any, Any]:
    """Columns that differ, of the requests that are wanted."""
    assert wanted.keys() <= result.keys()
    return {
        (key, name): (result[key][name], values)
        for key, columns in wanted.items()
        for name, values in columns.items()
        if (labels or not name.startswith("label")) and not same(result[key][name], values)
    }


@pytest.mark.parametrize("name", ["impressions", "list", "sampling", "sampling, uniform, strict", "sampling by event"])
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=st.data())
def test_no_feature_changes_with_what_comes_at_or_after_its_request(name: str, data: st.DataObject) -> None:
    shop = dated(SHOPS[name])
    log = data.draw(events(shop), label="log")
    requests, _ = understood(shop, log)
    moment = data.draw(st.sampled_from([request.time_us for request in requests] or [START_US]), label="moment")
    other = data.draw(other_futures(shop, log, moment), label="other future")
    wanted = {key: columns for key, columns in examples(shop, log).items() if columns["time"][0] <= moment}
    result = examples(shop, other)
    if shop.sampled:  # which candidates stand beside what was taken goes by what is taken later; what is known of each doesn't
        wanted, result = by_candidate(wanted), by_candidate(result)
        wanted = {key: columns for key, columns in wanted.items() if key in result}
    assert differing(result, wanted, labels=False) == {}


def by_candidate(result: dict[Any, Columns]) -> dict[Any, Columns]:
    """Each candidate with what is known of it and of its request."""
    alone: dict[Any, Columns] = {}
    for key, columns in result.items():
        for index, item in enumerate(columns["item"]):
            of_candidates = {"item": 1, "position": 1, "category": 1, "cost": 1, "look": 2}
            of_candidates |= dict.fromkeys((name for name in columns if name.startswith(("item_", "label"))), 1)
            alone[*key, item] = {
                name: values[index * of_candidates[name] : (index + 1) * of_candidates[name]] if name in of_candidates else values
                for name, values in columns.items()
            }
    return alone


@pytest.mark.parametrize("name", ["impressions, strict", "list, late actions count"])
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=st.data())
def test_no_label_changes_with_what_comes_after_its_window(name: str, data: st.DataObject) -> None:
    shop = dated(SHOPS[name])
    log = data.draw(events(shop), label="log")
    requests, _ = understood(shop, log)
    moment = data.draw(st.sampled_from([request.time_us for request in requests] or [START_US]), label="moment")
    after = moment + shop.attribution_s * SECOND + 1
    other = data.draw(other_futures(shop, log, after), label="other future")
    wanted = {key: columns for key, columns in examples(shop, log).items() if columns["time"][0] <= moment}
    assert differing(examples(shop, other), wanted, labels=True) == {}


def shown(time_us: int, user: str, request: str, *items: str) -> list[Event]:
    return [Event(time_us, user, item, "impression", request) for item in items]


AT = START_US + 3600 * SECOND
LOG = [*shown(AT, "a", "r0", "i0", "i1"), *shown(AT + 10 * SECOND, "a", "r1", "i0", "i1")]


def r1(*further: Event) -> Columns:
    """The example of request r1, ten seconds after r0, with more in the log."""
    return examples(Shop(), [*LOG, *further])["a", "r1"]


@pytest.mark.parametrize("user", ["a", "b"])
def test_a_click_counts_from_the_next_microsecond_on(user: str) -> None:
    """The rule's edge by hand: 10 s after r0 comes r1; a click at its very moment isn't known, one a microsecond before is."""
    at_once = r1(Event(AT + 10 * SECOND, user, "i0", "click", "rx"))
    before = r1(Event(AT + 10 * SECOND - 1, user, "i0", "click", "rx"))
    mine = user == "a"
    assert at_once["item_click_age"][0] != at_once["item_click_age"][0]  # NaN: never
    assert before["item_click_age"][0] == pytest.approx(1e-6)
    assert (at_once["history_item"], before["history_item"]) == ([], ["i0"] if mine else [])
    assert (at_once["session_events"], before["session_events"]) == ([1], [2 if mine else 1])
    assert at_once["item_clicks_10s"] == [0, 0]
    assert before["item_clicks_10s"] == pytest.approx([1, 0])


def test_a_label_may_come_up_to_the_end_of_its_window_and_not_after() -> None:
    end = AT + 10 * SECOND + 20 * SECOND
    assert r1(Event(end, "a", "i0", "click", "r1"))["label"] == [1, 0]
    assert r1(Event(end + 1, "a", "i0", "click", "r1"))["label"] == [0, 0]
    assert r1(Event(AT + 10 * SECOND - 1, "a", "i0", "click", "r1"))["label"] == [0, 0]


def test_sampled_candidates_are_what_is_taken_later_in_the_window() -> None:
    """Nothing taken at a request's moment or before is drawn for it, nor what is taken after the pool's end."""
    shop = Shop(form="sampling", negatives=9, window_days=1)
    log = [
        Event(START_US - DAY_US, "b", "i3", "click", "r0"),
        *(Event(START_US, "a", "i0", "click", f"r1-{n}") for n in range(30)),
        Event(START_US, "b", "i3", "click", "r2"),
        Event(START_US + 1, "b", "i1", "click", "r3"),  # the pool begins with this taking and lasts a day
        Event(START_US + DAY_US, "b", "i2", "click", "r4"),
        Event(START_US + DAY_US + 1, "b", "x", "click", "r5"),
        Event(START_US + 40 * DAY_US, "b", "x", "click", "r6"),  # so that all of the above lies in the training window
    ]
    made = examples(shop, log)
    assert {item for n in range(30) for item in made["a", f"r1-{n}"]["item"]} == {"i0", "i1", "i2"}


def test_requests_that_are_understood_are_those_that_are_written() -> None:
    """What the tests above take as a request's moment is what ingestion takes for it."""
    result: list[Request] = understood(Shop(), LOG)[0]
    assert {request.name: request.time_us for request in result} == {"r0": AT, "r1": AT + 10 * SECOND}
    assert {name: columns["time"] for (_, name), columns in examples(Shop(), LOG).items()} == {"r0": [AT], "r1": [AT + 10 * SECOND]}
