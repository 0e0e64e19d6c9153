"""What `shelfrank init` writes for each public data set fits its files, and ingestion makes of them the requests that were written."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.ingest.public_logs import WRITERS, World, make_world, write_public
from components.profiling.answers import Answers
from components.profiling.known.prepare import prepare
from components.profiling.known.public_formats import recognise
from components.validate.check import failed
from pipeline.cli.init import checked, draft, read_groups
from tests.components.ingest.generators.random_shops import ingested

LEAST_SHARE = 0.85  # of the requests: some lie too close to a window's end


def likes(world: World, *, half: bool) -> int:
    """Ratings of four stars and more; with half stars every third item loses half of one."""
    rated = [(item, visit) for visit in world.visits for item in visit.shown[:5] if item in visit.clicked]
    return sum(item in visit.carted or not (half and item % 3 == 0) for item, visit in rated)


# The requests that each data set's files hold.
REQUESTS: dict[str, Callable[[World], int]] = {
    "retailrocket": lambda world: sum(len(visit.carted) + len(visit.bought) for visit in world.visits),
    "rees46": lambda world: sum(len(visit.carted) + len(visit.bought) for visit in world.visits),
    "yoochoose": lambda world: sum(bool(visit.bought) for visit in world.visits),
    "diginetica": lambda world: sum(bool(visit.bought) for visit in world.visits),
    "yandex": lambda world: len(world.visits),
    "otto": lambda world: sum(len(visit.carted) + len(visit.bought) for visit in world.visits),
    "outbrain": lambda world: len(world.visits),
    "criteo": lambda world: 4 * len(world.visits),
    "avazu": lambda world: 4 * len(world.visits),
    "movielens": lambda world: likes(world, half=True),
    "movielens_1m": lambda world: likes(world, half=False),
    "online_retail": lambda world: len(world.visits),
    "instacart": lambda world: len(world.visits),
    "ga4": lambda world: len(world.visits),
    "shopify": lambda world: len(world.visits),
    "mind": lambda world: len(world.visits),
    "hm": lambda world: len({(visit.user, visit.at.date()) for visit in world.visits}),
}


def test_each_data_set_is_here() -> None:
    assert set(REQUESTS) == set(WRITERS)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(visits=600)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_data_set_is_validated_and_ingested(name: str, world: World, tmp_path: Path) -> None:
    now_us = time.time_ns() // 1000
    groups = read_groups([str(path) for path in write_public(name, tmp_path / "data", world)], now_us=now_us)
    found = recognise(groups)
    assert found is not None
    if found.raw:
        paths = {path: [file for group in those for file in group.paths] for path, those in found.groups.items()}
        groups = read_groups([str(path) for path in prepare(name, paths, tmp_path / "prepared")], now_us=now_us)
        found = recognise(groups)
    text = draft(groups, found, Answers(), folder=str(tmp_path)).text
    checks = checked(text, str(tmp_path / f"{name}.yaml"), groups, now_us=now_us)
    assert not failed(checks), [check for check in checks if check.verdict == "FAIL"]
    made = ingested(text, tmp_path, tmp_path / "out")
    requests = [columns for examples in made.examples.values() for columns in examples.values()]
    expected = REQUESTS[name](world)
    assert LEAST_SHARE * expected <= len(requests) <= expected
    positive = sum(any(label > 0 for label in columns["label"]) for columns in requests)
    assert positive == len(requests) or name in (
        "criteo",
        "avazu",
        "online_retail",
    )  # rows that weren't clicked, invoices that were returned
    assert positive > 0.1 * len(requests)
