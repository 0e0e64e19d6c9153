"""A page without a list of its own names a source: its products are ranked like any others, and the log says where they are from."""

import asyncio
import json
import time
from pathlib import Path

import numpy as np
import pytest

from components.state.features import plan_of
from components.state.plan import total_index
from components.state.reducer import blank
from serving.sources.popularity_ranking import Standing, Watched, standing
from tests.serving.service.conftest import Started
from tests.serving.service.little_shop import ITEMS, dataset
from tests.serving.service.running import Service

FILE = """\
sources:
  best: {kind: popular, most: 3}
  fresh: {kind: new}
  brand: {kind: category, feature: brand}
  tagged: {kind: category, feature: tags, from: device}
  alike: {kind: similar, most: 2}
  promoted: {kind: list, items: [p5, p0, unheard], most: 2}
"""


@pytest.fixture
def service(started: Started, tmp_path: Path) -> Service:
    (tmp_path / "sources.yaml").write_text(FILE)
    first = started(places={"snapshot": tmp_path / "snapshot"})
    clicks = [{"action": "click", "item": item, "shopper": f"s{n}", "request": "r"} for n, item in enumerate(["p4", "p4", "p2"])]
    assert first.post("/v1/events", {"interactions": clicks}).status == 200
    first.stop()
    return started(places={"sources": tmp_path / "sources.yaml", "log": tmp_path / "log", "snapshot": tmp_path / "snapshot"})


def of_source(service: Service, name: str, **asked: object) -> set[str]:
    answer = service.post("/v1/rank", {"source": name, **asked})
    assert answer.status == 200, answer.body
    assert answer.json["rung"] == "model"
    assert len(answer.json["scores"]) == len(answer.json["order"])
    return set(answer.json["order"])


def test_each_kind_gives_its_products(service: Service) -> None:
    assert of_source(service, "best") == {"p4", "p2", "p0"}
    assert of_source(service, "fresh") == {"p0", "p1", "p3", "p5"}
    assert of_source(service, "brand", about="Kelso") == {"p1", "p3", "p5"}
    assert of_source(service, "tagged", context={"device": "sale"}) == {"p0", "p2"}
    assert of_source(service, "promoted") == {"p5", "p0"}


def test_the_nearest_by_content_are_of_the_same_brand(service: Service) -> None:
    assert of_source(service, "alike", about="p3") == {"p1", "p5"}


def test_a_source_is_ranked_as_its_products_are(service: Service) -> None:
    assert service.post("/v1/rank", {"source": "best"}).json["order"] == service.rank("p0", "p2", "p4")["order"]
    explained = service.post("/v1/explain", {"source": "promoted"})
    assert explained.json["candidates"] == ["p5", "p0"]


def test_the_log_names_the_source(service: Service, tmp_path: Path) -> None:
    service.post("/v1/rank", {"source": "promoted", "request": "one"})
    service.rank(*ITEMS, request="two")
    service.stop()
    lines = [json.loads(line) for path in (tmp_path / "log").rglob("*.jsonl") for line in path.read_text().splitlines()]
    found = {line["request"]: (line["source"], line["items"]) for line in lines if "scores" in line}
    assert found == {"one": ("promoted", ["p5", "p0"]), "two": ("", ITEMS)}


@pytest.mark.parametrize(
    ("body", "status", "fault"),
    [
        ({"source": "bset"}, 400, "no source of candidates is called 'bset'; did you mean 'best'?"),
        ({"source": "brand"}, 400, "source 'brand': expected a value of 'brand' in `about`, got none"),
        ({"source": "tagged"}, 400, "expected a value of 'tags' in `context.device`, got none"),
        ({"source": "brand", "about": "Nobody"}, 400, "source 'brand' has no product for this request"),
        ({"source": "alike", "about": "p9"}, 400, "source 'alike': expected a product of the catalogue in `about`, got 'p9'"),
        ({"source": "best", "candidates": ["p1"]}, 422, "either `candidates` or the name of a `source`"),
        ({}, 422, "either `candidates` or the name of a `source`"),
        ({"source": "promoted", "shown": {"shown_price": [1, 2]}}, 422, "`shown` has a value for each of `candidates`"),
    ],
)
def test_what_can_not_be_given_is_told(service: Service, body: dict[str, object], status: int, fault: str) -> None:
    for route in ("/v1/rank", "/v1/explain"):
        answer = service.post(route, body)
        assert (answer.status, fault in answer.json["error"]) == (status, True), answer.body


def test_without_a_file_there_is_no_source(started: Started) -> None:
    answer = started().post("/v1/rank", {"source": "best"})
    assert (answer.status, answer.json["error"]) == (400, "no source of candidates is called 'best'; known: none")


def test_equally_popular_products_go_by_their_events_then_by_the_catalogue() -> None:
    items = plan_of(dataset(), "item")
    assert items is not None
    values = np.zeros((3, items.width), np.float32)
    values[:, total_index(items, "click")] = [1, 3, 1]
    found = standing(["a", "b", "c"], lambda _ids, _us: blank(items, 3)._replace(values=values), dataset(), None, time_us=0)
    assert (found.by_popularity.tolist(), found.events.tolist()) == ([1, 0, 2], [1, 3, 1])


def test_the_standing_is_looked_up_again_and_stays_while_the_store_fails() -> None:
    looked: list[int] = []

    def look(time_us: int) -> Standing:
        looked.append(time_us)
        if len(looked) == 2:
            raise OSError("the store is down")
        return Standing(np.array([len(looked)]), np.zeros(1, np.int64))

    async def watch() -> None:
        watched = Watched(look)
        task = asyncio.create_task(watched.refreshed(0.01))
        end = time.monotonic() + 20
        while len(looked) < 2 and time.monotonic() < end:
            await asyncio.sleep(0.001)
        assert watched.now.by_popularity.tolist() in ([1], [3])
        while watched.now.by_popularity.tolist() == [1] and time.monotonic() < end:
            await asyncio.sleep(0.001)
        assert watched.now.by_popularity.tolist()[0] >= 3
        task.cancel()

    asyncio.run(watch())
