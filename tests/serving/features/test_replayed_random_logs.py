"""Random logs of every form that has state, replayed through the service: each example's inputs, value by value.

Lists from impressions or from one row, and sampled candidates; guests, items that the catalogue lacks, ties, repetitions, late labels.
"""

from collections import defaultdict
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.contract.columns import input_columns
from components.contract.dataset import Dataset
from components.state.artifact import to_table
from serving.features.build_tensors import RequestFeatures
from serving.features.catalogue import load_catalogue
from serving.features.events import Changes, ImpressionList, Interaction
from serving.features.request import Request
from serving.state import snapshot as state_folder
from serving.state.interface import StateStores, plans_of
from serving.state.item_codes import ItemCodes
from serving.state.memory import MemoryStates
from serving.state.redis import RedisStates
from tests.components.ingest.generators.random_shops import (
    CATALOGUE,
    DAY_US,
    SECOND,
    SHOPS,
    START_US,
    Columns,
    Event,
    Shop,
    by_example,
    dataset_text,
    everything,
    ingested,
    parsed,
    write_log,
)
from tests.components.ingest.oracle import Request as Formed
from tests.components.ingest.oracle import understood
from tests.components.ingest.test_replay_service import identified
from tests.components.ingest.without_beam import NOW_US
from tests.serving.state.private_redis import private_redis

Context = dict[str, str]
CLOCKS_DIFFER = [name for name, shop in SHOPS.items() if shop.skew_s]


def told_apart(log: list[Event]) -> list[Event]:
    """Without events that differ in what the service isn't told of an interaction, such as the device: it takes them for repetitions.

    A search has no item, whatever the log says of it; and nobody's action may become that of the shopper whose request it names.
    """
    same = lambda e: (e.time_us, "" if e.action == "search" else e.item, e.action, e.request)  # noqa: E731
    whole = {same(event): event for event in log}
    return [event for event in log if event.action == "impression" or event == whole[same(event)]]


def as_request(formed: Formed, shop: Shop) -> Request:
    first = formed.first
    return Request(
        shopper=first.user,
        request=first.request,
        session=first.session,
        time_us=formed.time_us,
        candidates=[item for item, _, _ in formed.candidates],
        positions=[place for _, place, _ in formed.candidates],
        context={"device": first.device or None},
        shown={} if shop.sampled else {"shown_price": [price for _, _, price in formed.candidates]},
    )


def inputs_of(
    shop: Shop,
    log: list[Event],
    service: RequestFeatures,
    changes: Changes,
    states: StateStores,
    items: Collection[str] = tuple(CATALOGUE),
) -> list[tuple[Columns, Any]]:
    requests, kept = understood(shop, log, items)
    asked: dict[int, list[Formed]] = defaultdict(list)
    happened: dict[int, list[tuple[ImpressionList | Interaction, Context]]] = defaultdict(list)
    found: list[tuple[Columns, Any]] = []
    for formed in requests:
        asked[formed.time_us].append(formed)
        items = [item for item, _, _ in formed.candidates]
        who = {"shopper": formed.first.user, "request": formed.first.request, "session": formed.first.session}
        if not shop.sampled:
            shown = ImpressionList(items=[*items, items[0]], time_us=formed.time_us, **who)
            happened[formed.time_us].append((shown, {"device": formed.first.device}))
    for _, _, event, stamped_us, _ in kept:
        if shop.sampled or event.action != "impression":
            who = {"shopper": event.user, "request": event.request, "session": event.session}
            done = Interaction(action=event.action, item=event.item, time_us=stamped_us, **who)
            happened[event.time_us].append((done, {"device": event.device}))
    for moment in sorted({*asked, *happened}):
        found += [(identified(formed), service.inputs(as_request(formed, shop))) for formed in asked[moment]]
        for event, context in happened[moment]:
            change = changes.from_event(event, now_us=NOW_US, context=context)
            if change is not None:
                states.record(change)
                assert not (change.users or change.items) or not states.record(change)
    return found


def plain(values: Any) -> list[Any]:
    return [value.decode() if isinstance(value, bytes) else value for value in values.ravel().tolist()]


def random_log(shop: Shop, seed: int, *, rows: int = 400) -> list[Event]:
    """Four days of four shoppers and of guests; half of the moments are whole seconds of a few minutes, which makes ties."""
    draw = np.random.default_rng(seed)
    log = []
    for _ in range(rows):
        action = str(draw.choice(["search", "impression", "impression", "click", "click", "cart", "wave"]))
        time_us = START_US + int(draw.integers(0, 150)) * SECOND if draw.random() < 0.5 else START_US + int(draw.integers(0, 4 * DAY_US))
        user = str(draw.choice(["a", "a", "b", "c", ""]))
        name = str(draw.choice([*(f"r{time_us // DAY_US}-{n}" for n in range(8)), ""]))
        shown = [("i0", 1.0), ("i1", 2.5), ("i2", 1.0), ("x", 2.5), ("i0", 7.0)][: draw.integers(0, 6)] if action == "click" else []
        event = Event(
            time_us=time_us,
            user=user,
            item=str(draw.choice(["i0", "i0", "i1", "i2", "x", ""])),
            action="search" if shop.form == "list" and action == "impression" else action,
            # Without a name a list would be named by what it holds, and what guests took in sampling would be one request.
            request=name or ("r" if shop.form == "list" or not user else ""),
            session=str(draw.choice(["", "s0", "s1"])) if shop.sessions else "",
            position=None if draw.random() < 0.3 else int(draw.integers(0, 4)),
            device=str(draw.choice(["phone", "desk", ""])),
            price=None if shop.form == "list" or shop.sampled or draw.random() < 0.3 else float(draw.integers(0, 9)) / 4,
            shown=tuple(shown) if shop.form == "list" else (),
        )
        log += [event, event] if draw.random() < 0.1 else [event]
    return log


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", SHOPS)
def test_every_input_is_what_ingestion_wrote(name: str, seed: int, tmp_path: Path) -> None:
    require_served_as_ingested(SHOPS[name], seed, tmp_path, lambda dataset, codes: MemoryStates(plans_of(dataset), codes))


@pytest.mark.parametrize("name", CLOCKS_DIFFER)
def test_redis_serves_the_same_where_clocks_differ(name: str, tmp_path: Path) -> None:
    with private_redis() as client:

        def kept(dataset: Dataset, codes: ItemCodes) -> RedisStates:
            return RedisStates(client, shop="tiny", plans=plans_of(dataset), codes=codes, ttl_s=1000)

        require_served_as_ingested(SHOPS[name], 1, tmp_path, kept)


def require_served_as_ingested(shop: Shop, seed: int, folder: Path, kept: Callable[[Dataset, ItemCodes], StateStores]) -> None:
    log = told_apart(random_log(shop, seed))
    text = dataset_text(shop)
    dataset = parsed(text)
    write_log(folder, log)
    made = ingested(text, folder, folder / "out", partitions=2)
    catalogue = load_catalogue(folder / "out" / "state", dataset)
    states = kept(dataset, catalogue.codes)
    examples = everything(made.examples)
    replayed = inputs_of(shop, log, RequestFeatures(dataset, catalogue, states), Changes(dataset, catalogue), states)
    found = by_example(replayed, examples)
    for key, (_, example) in examples.items():
        served = {column.name: plain(found[key].tensors[column.name]) for column in input_columns(dataset)}
        assert {name: str(values) for name, values in served.items()} == {name: str(example[name]) for name in served}
        assert found[key].interactions == example["interactions"][0]
    assert len(examples) > 20
    assert sum(len(example["history_item"]) > 1 for _, example in examples.values()) > 10


@pytest.mark.parametrize("name", CLOCKS_DIFFER)
def test_items_within_segments_end_as_ingestion_leaves_them_where_clocks_differ(name: str, tmp_path: Path) -> None:
    shop = SHOPS[name]
    log = told_apart(random_log(shop, 3))
    text = dataset_text(shop, serving={"segment": ["device", "country"]})
    dataset = parsed(text)
    write_log(tmp_path, log)
    ingested(text, tmp_path, tmp_path / "out", partitions=2)
    catalogue, plans = load_catalogue(tmp_path / "out" / "state", dataset), plans_of(dataset)
    states = MemoryStates(plans, catalogue.codes)
    inputs_of(shop, log, RequestFeatures(dataset, catalogue, states), Changes(dataset, catalogue), states)
    served, saved = states.snapshot().items, state_folder.load(tmp_path / "out" / "state", plans, catalogue.codes).items
    assert served is not None
    assert saved is not None
    assert sum(key.startswith("\x1f") for key in saved.keys) > 5
    assert to_table(served.state, served.keys, served.plan).equals(to_table(saved.state, saved.keys, saved.plan))
