"""From a request over HTTP to the model's scores and back, through the embedded model server."""

import time
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from serving.features.build_tensors import RequestFeatures
from serving.features.request import Request
from serving.state.interface import plans_of
from serving.state.memory import MemoryStates
from tests.serving.service.conftest import Shop, Started
from tests.serving.service.little_shop import ITEMS, catalogue, dataset

ASKED: dict[str, Any] = {"shopper": "a", "context": {"device": "mobile"}, "shown": {"shown_price": [9, 19, 29, 39, 49, 59]}}


def test_the_service_scores_as_the_saved_model_called_directly_on_the_same_tensors(shop: Shop, started: Started) -> None:
    answer = started().rank(*ITEMS, **ASKED)
    known = catalogue(shop.state)
    features = RequestFeatures(dataset(), known, MemoryStates(plans_of(dataset()), known.codes))
    request = Request(candidates=ITEMS, time_us=time.time_ns() // 1000, **ASKED)
    loaded = tf.saved_model.load(str(shop.models / "2"))
    door = loaded.signatures["serving_default"]
    direct = door(**{name: tf.constant(values) for name, values in features.inputs(request).tensors.items()})["scores"].numpy()[0]
    assert not answer["reason"]
    assert answer["order"] == [ITEMS[at] for at in np.argsort(-direct)] == ITEMS[::-1]
    np.testing.assert_allclose(answer["scores"], np.sort(direct)[::-1], rtol=0, atol=1e-6)
    assert (answer["rung"], answer["version"], answer["label"], answer["degraded"], answer["reason"]) == ("model", 2, "stable", False, "")


def test_a_click_moves_the_state_and_with_it_the_next_request(started: Started) -> None:
    service = started()
    assert service.rank(*ITEMS, **ASKED)["order"][0] == "p5"
    clicks = [{"action": "click", "item": "p1", "shopper": "b", "time_us": 1_770_000_000_000_000 + n} for n in range(3)]
    assert service.post("/v1/events", {"interactions": clicks}).json == {"accepted": 3}
    after = service.rank(*ITEMS, **ASKED)
    assert after["order"][0] == "p1"
    assert after["scores"][0] == pytest.approx(np.log(20) + 3, abs=1e-6)


def test_a_request_of_a_guest_gets_an_id_of_its_own(started: Started) -> None:
    service = started()
    first, second = (service.rank("p1", "new") for _ in range(2))
    assert first["order"] == ["p1", "new"]
    assert first["request"] != second["request"]


def test_reasons_come_from_the_models_explain(started: Started) -> None:
    told = started().post("/v1/explain", {"candidates": ["p2", "p0"]}).json
    assert (told["version"], told["candidates"], told["features"]) == (2, ["p2", "p0"], ["price", "item_clicks"])
    np.testing.assert_allclose(told["attributions"], [[np.log(30), 0], [np.log(10), 0]], atol=1e-6)
    np.testing.assert_allclose(told["others"]["logits"], np.log([30, 10]), atol=1e-6)


def test_reasons_are_told_in_words_with_what_sets_neighbours_apart(started: Started) -> None:
    told = started().post("/v1/explain", {"candidates": ["p2", "p0", "p4"]}).json
    assert [[each["text"] for each in reasons] for reasons in told["reasons"]] == [
        ["price 30"],
        ["price 10, the cheapest of this list"],
        ["price 50, the dearest of this list"],
    ]
    assert [(pair["above"], pair["below"], pair["reasons"][0]["text"]) for pair in told["pairs"]] == [
        ("p4", "p2", "dearer: 50 against 30"),
        ("p2", "p0", "dearer: 30 against 10"),
    ]
    assert told["reasons"][2][0]["effect"] == pytest.approx(np.log(50) - np.log([30, 10, 50]).mean(), abs=1e-6)
    assert told["pairs"][0]["reasons"][0]["effect"] == pytest.approx(np.log(50) - np.log(30), abs=1e-6)


def test_a_model_without_reasons_is_told_as_503_and_still_ranks(started: Started) -> None:
    service = started(label="previous")
    for _ in range(7):  # more failures than open a breaker
        answer = service.post("/v1/explain", {"candidates": ["p2"]})
        assert answer.status == 503
    assert service.rank("p2", "p0")["rung"] == "model"
