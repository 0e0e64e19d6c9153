"""The service, told of the log event by event, knows what ingestion knew: each example's features bit for bit, and the state at the end."""

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.contract.dataset import Dataset
from components.ingest.shuffle_files import read_frame
from components.state.artifact import Snapshot, load, to_table
from components.state.features import interactions, plan_of, state_values
from components.state.keys import session_hash
from components.state.plan import StatePlan
from components.state.reducer import Features
from components.state.store import Event as Happened
from components.state.store import StateStore
from tests.components.ingest.generators.random_shops import (
    CATALOGUE,
    SHOPS,
    START_US,
    Columns,
    Event,
    Shop,
    blocks_of,
    by_example,
    dataset_text,
    events,
    everything,
    ingested,
    parsed,
    write_log,
)
from tests.components.ingest.oracle import Request, Who, understood


class Service:
    """Two stores, as the ranking service keeps them, that are told of one event after the other."""

    def __init__(self, dataset: Dataset, codes: dict[str, int]) -> None:
        users, items = plan_of(dataset, "user"), plan_of(dataset, "item")
        assert users is not None
        assert items is not None
        self.dataset, self.codes, self.names = dataset, codes, {code: item for item, code in codes.items()}
        self.users, self.items = StateStore(users), StateStore(items)

    def known(self, request: Request) -> Columns:
        """The columns of a request that come from state."""
        user = self.users.features(key_of(request.who), request.time_us, session=session_of(request.first))
        items = self.items.features_of([item for item, _, _ in request.candidates], request.time_us)
        columns: dict[str, Any] = state_values(self.dataset, "user", user.values) | state_values(self.dataset, "item", items.values)
        return {
            "interactions": interactions(self.dataset, user.values).tolist(),
            **{name: values.tolist() for name, values in columns.items()},
            **self.history(user),
        }

    def history(self, user: Features) -> Columns:
        length = int(user.history_len[0])
        items = [self.names[code] for code in user.history_item[0, :length].tolist()]
        return {
            "history_item": items,
            "history_category": [CATALOGUE[item][0] if item in CATALOGUE else "" for item in items],
            "history_action": [self.users.plan.actions[action] for action in user.history_action[0, :length].tolist()],
            "history_age_s": user.history_age_s[0, :length].tolist(),
        }

    def shown(self, request: Request) -> None:
        """A list went out: one event of the user that weighs as much as it is long, and one of each item."""
        session = session_of(request.first)
        if key := key_of(request.who):
            self.users.record(Happened(key, request.time_us, "impression", item=-1, weight=len(request.candidates), session=session))
        for item, _, _ in request.candidates:
            self.items.record(Happened(item, request.time_us, "impression"))

    def done(self, who: Who, event: Event, stamped_us: int) -> None:
        """A shopper did something, at the time that the log says."""
        session, skew_us = session_of(event), int(self.dataset.skew * 1e6) if event.item else 0
        item = self.codes.get(event.item, -1)
        if key := key_of(who):
            self.users.record(Happened(key, stamped_us, event.action, item=item, session=session, skew_us=skew_us))
        if event.item and event.action in self.items.plan.actions:
            self.items.record(Happened(event.item, stamped_us, event.action, skew_us=skew_us))


def key_of(who: Who) -> str:
    """Nothing is kept of guests."""
    return who[1] if who[0] == "user" else ""


def identified(request: Request) -> Columns:
    """By what examples are told apart, where they share user and request."""
    items, positions = ([candidate[position] for candidate in request.candidates] for position in (0, 1))
    label = [float(bool(got)) for got in request.labels]
    return {
        "user": [request.first.user],
        "request": [request.name],
        "time": [request.time_us],
        "item": items,
        "position": positions,
        "label": label,
    }


def session_of(event: Event) -> int:
    return session_hash(event.session) if event.session else 0


def replayed(shop: Shop, log: list[Event], service: Service) -> list[tuple[Columns, Columns]]:
    """What the service says at each request, as the world goes: at one moment first all that is asked, then what came of it."""
    requests, kept = understood(shop, log)
    asked: dict[int, list[Request]] = defaultdict(list)
    happened: dict[int, list[tuple[Who, Event, int]]] = defaultdict(list)
    for request in requests:
        asked[request.time_us].append(request)
    for who, _, event, stamped_us, _ in kept:
        if shop.sampled or event.action != "impression":
            happened[event.time_us].append((who, event, stamped_us))
    result: list[tuple[Columns, Columns]] = []
    for moment in sorted({*asked, *happened}):
        result += [(identified(request), identified(request) | service.known(request)) for request in asked[moment]]
        for request in asked[moment] if not shop.sampled else []:
            service.shown(request)
        for who, event, stamped_us in happened[moment]:
            service.done(who, event, stamped_us)
    return result


def named(snapshot: Snapshot, names: dict[str, str]) -> Any:
    """The state of the keys that have a name, as the artifact writes it."""
    rows = np.array([row for row, key in enumerate(snapshot.keys) if key in names], np.int64)
    state = type(snapshot.state)(*(array[rows] for array in snapshot.state))
    return to_table(state, [names[snapshot.keys[row]] for row in rows], snapshot.plan)


def of_artifact(folder: Path, plan: StatePlan) -> Any:
    snapshot = load(folder, plan)
    return to_table(snapshot.state, snapshot.keys, plan)


OF_LISTS = [name for name in SHOPS if not name.startswith("sampling")]


@pytest.mark.parametrize("name", SHOPS)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_service_knows_what_ingestion_knew_bit_for_bit(name: str, data: st.DataObject) -> None:
    shop = SHOPS[name]
    # A log of which no event can be kept is refused.
    kept = Event(START_US, "a", "i0", "click", "r0", shown=(("i0", 1.0),) if shop.form == "list" else ())
    log = [*data.draw(events(shop), label="log"), kept]
    partitions = data.draw(st.integers(1, 3), label="partitions")
    text = dataset_text(shop)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_log(folder, log, group_rows=7)
        made = ingested(text, folder, folder / "out", partitions=partitions, blocks=blocks_of(text, folder))
        index = read_frame(made.job.path("index"))["item"].to_list()
        service = Service(parsed(text), {item: code for code, item in enumerate(index)})
        examples = everything(made.examples)
        wanted = by_example(replayed(shop, log, service), examples)
        states = {side: of_artifact(folder / "out" / "state" / side, store.plan) for side, store in sides(service)}
    for key, (_, columns) in examples.items():
        predicted = {name: values for name, values in wanted[key].items() if name in columns}
        assert {name: str(columns[name]) for name in predicted} == {name: str(values) for name, values in predicted.items()}
    shoppers = {logged.who[1] for logged in understood(shop, log)[1] if logged.who[0] == "user"}
    assert named(service.users.snapshot(), {user: user for user in shoppers}).equals(states["users"])
    assert named(service.items.snapshot(), {item: item for item in index}).equals(states["items"])


def sides(service: Service) -> list[tuple[str, StateStore]]:
    return [("users", service.users), ("items", service.items)]


def test_a_store_that_starts_from_the_artifact_goes_on_where_the_log_ended(tmp_path: Path) -> None:
    """By hand: a saw two items and clicked i0; ten seconds later, half of that is left at a half-life of ten seconds."""
    shop = Shop()
    log = [
        Event(START_US, "a", "i0", "impression", "r0"),
        Event(START_US, "a", "i1", "impression", "r0"),
        Event(START_US + 5_000_000, "a", "i0", "click", "r0"),
    ]
    text = dataset_text(shop)
    write_log(tmp_path, log)
    ingested(text, tmp_path, tmp_path / "out")
    dataset = parsed(text)
    users, items = (StateStore(saved.plan, saved) for saved in (load(tmp_path / "out" / "state" / side) for side in ("users", "items")))
    of_user = state_values(dataset, "user", users.features("a", START_US + 15_000_000).values)
    of_item = state_values(dataset, "item", items.features_of(["i0", "i1", "i2"], START_US + 15_000_000).values)
    assert of_user["user_clicks_10s"].tolist() == [0.5]
    assert of_user["user_shown"].tolist() == [2]
    assert of_user["session_events"].tolist() == [2]
    assert of_item["item_clicks_10s"].tolist() == [0.5, 0, 0]
    assert of_item["item_click_age"].tolist()[0] == 10


def test_a_click_on_another_shoppers_list_is_not_known_before_that_list_and_is_as_old_as_each_key_can_say(tmp_path: Path) -> None:
    """By hand: b is shown i0 at 10 s; a clicks i0, and i1 that isn't there, by a clock that says 8 s; a is shown both at 9 and at 20 s."""
    at = lambda second: START_US + second * 1_000_000  # noqa: E731
    both = lambda name, second: [Event(at(second), "a", item, "impression", name) for item in ("i0", "i1")]  # noqa: E731
    log = [*both("early", 9), Event(at(10), "b", "i0", "impression", "theirs"), *both("late", 20)]
    log += [Event(at(8), "a", item, "click", "theirs") for item in ("i0", "i1")]
    write_log(tmp_path, log)
    made = everything(ingested(dataset_text(Shop(skew_s=4, evaluate="1%", test="1%", gap_s=0)), tmp_path, tmp_path / "out").examples)
    early, late = made["a", "early"][1], made["a", "late"][1]
    assert (early["history_item"], [str(age) for age in early["item_click_age"]]) == ([], ["nan", "nan"])
    # When the clicks came in, a's and i1's newest event was of 9 s, i0's of 10 s.
    assert (late["history_item"], late["history_age_s"], late["item_click_age"]) == (["i0", "i1"], [11, 11], [10, 11])
