"""Requests and events by hand: what is refused and why, clocks, buckets, cold starts, and what an event changes."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from components.contract.errors import InputError
from components.contract.values.event_time import AHEAD_US
from serving.features.build_tensors import RequestFeatures
from serving.features.catalogue import Catalogue, load_catalogue
from serving.features.events import Changes, ImpressionList, Interaction
from serving.features.request import Request
from serving.state.interface import plans_of
from serving.state.memory import MemoryStates
from tests.components.ingest.generators.random_shops import SECOND, Shop, dataset_text, parsed

NOON_US = 1_770_033_600_000_000  # Monday 2026-02-02, 12:00 UTC
DATASET = parsed(dataset_text(Shop()))
STRICT = parsed(dataset_text(Shop(guests=False, reject_unknown=True)))


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    folder = tmp_path / "catalogue"
    folder.mkdir()
    text = lambda *values: pa.array(values, pa.large_string())  # noqa: E731
    look = pa.array([[1, 2], [3, 4]], pa.list_(pa.float32(), 2))
    items = {"item": text("i0", "i1"), "category": text("shoes", ""), "cost": pa.array([10.0, np.nan], pa.float32()), "look": look}
    pq.write_table(pa.table(items), folder / "items.parquet")
    pq.write_table(pa.table({"user": text("a", "b"), "country": text("DE", "FR")}), folder / "users.parquet")
    return load_catalogue(tmp_path, DATASET)


def asked(catalogue: Catalogue, *, buckets: tuple[int, ...] = (), **changes: Any) -> Any:
    given = {"shopper": "a", "candidates": ["i1", "new"], "time_us": NOON_US, **changes}
    return RequestFeatures(DATASET, catalogue, MemoryStates(plans_of(DATASET), catalogue.codes)).inputs(Request(**given), buckets=buckets)


def test_a_request_by_hand(catalogue: Catalogue) -> None:
    found = asked(catalogue, context={"device": None}, shown={"shown_price": ["2.5", None]})
    tensors = {name: values.tolist() for name, values in found.tensors.items()}
    assert [tensors[name] for name in ("device", "hour", "weekday", "country")] == [[b""], [b"12"], [b"1"], [b"DE"]]
    assert [tensors[name] for name in ("item", "category")] == [[[b"i1", b"new"]], [[b"", b""]]]
    assert found.tensors["look"].shape == (1, 2, 2)
    assert tensors["look"][0][0] == [3, 4]
    assert np.isnan(found.tensors["look"][0, 1]).all()
    assert tensors["shown_price"][0][0] == 2.5
    assert (tensors["n_candidates"], tensors["n_history"], tensors["user_ctr_10s"]) == ([2], [0], [1 / 4])
    assert found.interactions == 0


def test_a_request_id_of_another_visit_or_of_a_later_time_is_another_list(catalogue: Catalogue) -> None:
    """By hand: the shop's session gap is 30 seconds."""
    states, changes = MemoryStates(plans_of(DATASET), catalogue.codes), Changes(DATASET, catalogue)
    lists = [("s0", 0), ("s0", 10), ("s1", 10), ("s0", 20), ("s0", 51)]
    events = [ImpressionList(shopper="a", request="1", session=visit, items=["i0"], time_us=NOON_US + at * SECOND) for visit, at in lists]
    made = [changes.from_event(event, now_us=NOON_US + 60 * SECOND) for event in events]
    assert [change is not None and states.record(change) for change in made] == [True, False, True, False, True]


def test_nothing_is_kept_of_guests_and_what_they_do_counts_for_its_item(catalogue: Catalogue) -> None:
    changes = Changes(DATASET, catalogue)
    who = {"shopper": "", "request": "r", "time_us": NOON_US}
    for event in (ImpressionList(items=["i0"], **who), Interaction(action="click", item="i0", **who)):
        change = changes.from_event(event, now_us=NOON_US)
        assert change is not None
        assert (change.users, [each.key for each in change.items]) == ((), ["i0"])


def test_an_action_of_nobody_is_taken_where_the_dataset_has_such_and_it_names_its_request(catalogue: Catalogue) -> None:
    text = yaml.safe_load(dataset_text(Shop(guests=False, sessions=False)))
    clicks = {"path": "clicks/*.parquet", "action": "click", "columns": {"time": "time", "item": "item", "request": "request"}}
    changes = Changes(parsed(yaml.safe_dump(text | {"events": [text["events"], clicks]})), catalogue)
    change = changes.from_event(Interaction(shopper="", action="click", item="i0", request="r", time_us=NOON_US), now_us=NOON_US)
    assert change is not None
    assert change.users == ()
    for lost in (
        Interaction(shopper="", action="click", item="i0", time_us=NOON_US),
        ImpressionList(shopper="", request="r", items=["i0"], time_us=NOON_US),
    ):
        with pytest.raises(InputError, match="expected a shopper"):
            changes.from_event(lost, now_us=NOON_US)


@pytest.mark.parametrize(("length", "filled"), [(1, 2), (2, 2), (3, 4), (5, 8), (9, 12)])
def test_lists_are_filled_up_to_the_next_bucket(catalogue: Catalogue, length: int, filled: int) -> None:
    found = asked(catalogue, candidates=["i0"] * length, buckets=(2, 4))
    assert found.tensors["item"].shape == (1, filled)
    assert found.tensors["look"].shape == (1, filled, 2)
    assert found.tensors["item"][0, length:].tolist() == [b""] * (filled - length)
    assert found.tensors["n_candidates"].tolist() == [length]
    assert found.tensors["history_item"].shape == (1, 3)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"candidates": []}, "at least one candidate"),
        ({"candidates": ["i0", 7]}, "ids as text, got 7"),
        ({"candidates": ["i0", ""]}, "ids as text, got ''"),
        ({"context": {"devise": "phone"}}, "'devise' is no feature .* did you mean 'device'"),
        ({"context": {"device": {"a": 1}}}, "device: expected text"),
        ({"shown": {"shown_price": [1.0]}}, "shown_price: expected a list of 2 values, one for each candidate, got 1"),
        ({"shown": {"cost": [1.0, 2.0]}}, "'cost' is no feature"),
        ({"positions": [0]}, "positions: expected 2 whole numbers"),
    ],
)
def test_a_wrong_request_is_refused(catalogue: Catalogue, changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        asked(catalogue, **changes)


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        (Interaction(shopper="a", action="clik", item="i0", time_us=NOON_US), "'clik' isn't among .* did you mean 'click'"),
        (Interaction(shopper="a", action="click", time_us=NOON_US), "'click' is about an item, got none"),
        (Interaction(shopper="a", action="impression", item="i0", time_us=NOON_US), "send the list"),
        (Interaction(shopper="a", action="click", item="i0", time_us=NOON_US + AHEAD_US + 1), "up to now"),
        (Interaction(shopper="", action="click", item="i0", time_us=NOON_US), "expected a shopper, got none"),
        (ImpressionList(shopper="a", request="", items=["i0"], time_us=NOON_US), "the id of the request"),
        (ImpressionList(shopper="a", request="r", items=[], time_us=NOON_US), "the ids of the items shown"),
        (ImpressionList(shopper="a", request="r", items="i0", time_us=NOON_US), "the ids of the items shown"),
    ],
)
def test_a_wrong_event_is_refused(catalogue: Catalogue, event: ImpressionList | Interaction, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Changes(STRICT, catalogue).from_event(event, now_us=NOON_US)


def test_an_event_ahead_of_the_clock_counts_as_of_now_and_sent_again_is_the_same(catalogue: Catalogue) -> None:
    click = Interaction(shopper="a", action="click", item="i0", time_us=NOON_US + SECOND)
    at_noon, later = (Changes(STRICT, catalogue).from_event(click, now_us=now_us) for now_us in (NOON_US, NOON_US + 2 * SECOND))
    assert at_noon is not None
    assert later is not None
    assert [event.time_us for event in (*at_noon.users, *at_noon.items)] == [NOON_US] * len((*at_noon.users, *at_noon.items))
    assert (at_noon.time_us, later.time_us) == (NOON_US, NOON_US + SECOND)
    assert at_noon.mark == later.mark


def test_what_a_list_changes(catalogue: Catalogue) -> None:
    change = Changes(STRICT, catalogue).from_event(
        ImpressionList(shopper="a", request="r", items=["i1", "x", "i0", "i1"], time_us=NOON_US), now_us=NOON_US
    )
    assert change is not None
    assert [(event.key, event.action, event.weight, event.item) for event in change.users] == [("a", "impression", 2, -1)]
    assert [event.key for event in change.items] == ["i1", "i0"]


def test_events_of_unknown_items_count_only_where_they_are_kept(catalogue: Catalogue) -> None:
    click = Interaction(shopper="a", action="click", item="x", time_us=NOON_US - SECOND)
    assert Changes(STRICT, catalogue).from_event(click, now_us=NOON_US) is None
    change = Changes(DATASET, catalogue).from_event(click, now_us=NOON_US)
    assert change is not None
    assert [catalogue.codes.name(event.item) for event in change.users] == ["x"]


def test_a_catalogue_of_another_dataset_file_is_refused(catalogue: Catalogue, tmp_path: Path) -> None:
    pq.write_table(pa.table({"item": pa.array(["i0"], pa.large_string())}), tmp_path / "catalogue" / "items.parquet")
    with pytest.raises(InputError, match="in column 'category', found nothing"):
        load_catalogue(tmp_path, DATASET)
