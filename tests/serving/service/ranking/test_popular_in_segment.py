"""With the model down a segment's order is its own where enough has happened there, and the shop's where it hasn't."""

from pathlib import Path

import numpy as np
import pytest

from components.contract.load import parse_dataset
from components.contract.popularity import popularity_column
from serving.features.request import Inputs
from serving.service.ranking.segment_popularity import SegmentPopularity
from tests.serving.service.bad_model_servers import free_port
from tests.serving.service.conftest import Started
from tests.serving.service.little_shop import SHOP
from tests.serving.service.running import Service

BY_DEVICE = f"{SHOP}serving: {{segment: device}}\n"
RATE = BY_DEVICE.replace(
    "{name: item_clicks, kind: state, side: item, measure: total, action: click}",
    "{name: item_ctr, kind: state, side: item, measure: rate, action: click, per: impression, prior: 0.1, strength: 10}",
)


@pytest.fixture
def service(started: Started, tmp_path: Path) -> Service:
    file = tmp_path / "shop.yaml"
    file.write_text(BY_DEVICE)
    return started(places={"dataset": file, "model_server": f"127.0.0.1:{free_port()}"})


def clicked(service: Service, device: str | None, **items: int) -> None:
    context = {} if device is None else {"device": device}
    clicks = [
        {"action": "click", "item": item, "shopper": f"{item}{n}", "request": "r", "context": context}
        for item, times in items.items()
        for n in range(times)
    ]
    assert service.post("/v1/events", {"interactions": clicks}).status == 200


def test_each_segment_has_its_own_order(service: Service) -> None:
    clicked(service, "mobile", p0=30, p1=2)
    clicked(service, "desktop", p0=2, p1=25)
    mobile = service.rank("p1", "p0", "p2", context={"device": "mobile"})
    assert (mobile["order"], mobile["rung"], mobile["reason"]) == (["p0", "p1", "p2"], "segment", "segment (stable: unreachable)")
    # Of 27 clicks 2 and 25; of the shop's 59, 32 and 27, which weigh as 20.
    assert mobile["scores"] == pytest.approx([(30 + 20 * 32 / 59) / 52, (2 + 20 * 27 / 59) / 52, 0])
    desktop = service.rank("p0", "p1", "p2", context={"device": "desktop"})
    assert desktop["order"] == ["p1", "p0", "p2"]
    assert service.counted('shelfrank_ranked_total{label="stable",rung="segment"}') == 2


def test_a_single_click_does_not_turn_the_order_of_the_shop(service: Service) -> None:
    clicked(service, "mobile", p0=30, p1=20)
    clicked(service, "desktop", p1=1)
    assert service.rank("p1", "p0", context={"device": "desktop"})["order"] == ["p0", "p1"]
    clicked(service, "desktop", p1=9)
    assert service.rank("p0", "p1", context={"device": "desktop"})["order"] == ["p1", "p0"]


def test_a_new_segment_or_none_has_the_order_of_the_shop(service: Service) -> None:
    clicked(service, "mobile", p1=3)
    clicked(service, None, p1=1, p2=2)
    for context in ({}, {"device": "television"}, {"device": None}):
        answer = service.rank("p0", "p1", "p2", context=context)
        assert (answer["order"], answer["rung"]) == (["p1", "p2", "p0"], "popularity")


def test_a_rate_in_a_segment_has_the_shop_s_for_a_prior() -> None:
    # Plan of items: counts of impression, click over a day; 3 features a row more.
    popularity = SegmentPopularity(parse_dataset(RATE))
    shop, segment = np.zeros((2, 8), np.float32), np.zeros((2, 8), np.float32)
    shop[:, 0], shop[:, 1] = [90, 190], [9, 39]
    segment[:, 0], segment[:, 1] = [0, 10], [0, 3]
    found = popularity.within(Inputs({}, 0, np.ones(2, bool), shop, segment))
    assert found == pytest.approx([10 / 100, (3 + 10 * 40 / 200) / 20])
    assert popularity.within(Inputs({}, 0, np.ones(2, bool), shop, np.zeros((2, 8), np.float32))) is None


def test_popular_is_the_rate_of_the_longest_half_life_before_any_count() -> None:
    both = BY_DEVICE.replace("half_lives: [1d]", "half_lives: [7d, 1d, 3d]").replace(
        "serving:",
        "  - {name: item_ctr, kind: state, side: item, measure: rate, action: click, per: impression}\nserving:",
    )
    assert popularity_column(parse_dataset(both)) == "item_ctr_7d"
    assert popularity_column(parse_dataset(BY_DEVICE.replace("measure: total", "measure: count"))) == "item_clicks_1d"
