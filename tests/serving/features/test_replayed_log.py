"""A log replayed through the service: the tensors that the model is asked equal ingestion's examples, bit for bit."""

import pytest

from components.contract.columns import signature_columns
from components.state.artifact import to_table
from serving.state import snapshot
from serving.state.interface import plans_of
from serving.state.memory import MemoryStates
from serving.state.redis import RedisStates
from tests.serving.features.simulated import Shop, compared, differing, dtype_names, ingested_shop, replayed, with_history
from tests.serving.state.private_redis import private_redis


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return ingested_shop(tmp_path_factory.mktemp("shop"), events=12_000)


def test_every_input_of_every_example_is_served_bit_for_bit_from_memory(shop: Shop) -> None:
    catalogue = shop.catalogue()
    states = MemoryStates(plans_of(shop.dataset), catalogue.codes)
    assert compared(shop, replayed(shop, states, catalogue)) == len(shop.examples) > 500
    assert with_history(shop) > 150


def test_the_state_after_the_replay_is_the_artifact_and_goes_on_from_it(shop: Shop) -> None:
    catalogue = shop.catalogue()
    states = MemoryStates(plans_of(shop.dataset), catalogue.codes)
    for _ in replayed(shop, states, catalogue):
        pass
    there, saved = states.snapshot(), snapshot.load(shop.state, plans_of(shop.dataset), catalogue.codes)
    for one, other in ((there.users, saved.users), (there.items, saved.items)):
        assert one is not None
        assert other is not None
        assert to_table(one.state, one.keys, one.plan).equals(to_table(other.state, other.keys, other.plan))


def test_the_first_requests_are_served_bit_for_bit_from_redis(shop: Shop) -> None:
    with private_redis() as client:
        catalogue = shop.catalogue()
        states = RedisStates(client, shop="simulated_shop", plans=plans_of(shop.dataset), codes=catalogue.codes, ttl_s=1000)
        assert compared(shop, replayed(shop, states, catalogue, upto=400)) > 250


def test_the_tensors_are_those_of_the_signature(shop: Shop) -> None:
    catalogue = shop.catalogue()
    states = MemoryStates(plans_of(shop.dataset), catalogue.codes, snapshot.load(shop.state, plans_of(shop.dataset), catalogue.codes))
    request, inputs = next(replayed(shop, states, catalogue))
    asked = {column.name: column for column in signature_columns(shop.dataset)}
    assert dtype_names(inputs) == {name: "object" if column.dtype == "string" else column.dtype for name, column in asked.items()}
    lengths = {"request": (1,), "candidate": (1, len(request.candidates)), "history": (1, int(inputs.tensors["n_history"][0]))}
    assert {name: values.shape for name, values in inputs.tensors.items()} == {name: lengths[asked[name].axis] for name in asked}


def test_the_comparison_finds_a_shopper_whose_past_is_lost(shop: Shop) -> None:
    catalogue = shop.catalogue()
    states = MemoryStates(plans_of(shop.dataset), catalogue.codes)
    wrong = set()
    for request, inputs in replayed(shop, states, catalogue):
        if request.request in shop.examples:
            wrong |= {line.split(":")[0] for line in differing(shop.dataset, inputs, shop.examples[request.request])}
        states.forget(request.shopper)
    assert {"history_item", "user_clicks", "user_ctr_1d", "session_events"} <= wrong
    assert not wrong & {"item_ctr_1d", "country", "price", "hour"}
