"""A service with a salt: its model gets what ingestion makes of the log that the service writes, which holds nobody's id."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from components.state.artifact import to_table
from serving.exposure.dataset_section import log_sources
from serving.exposure.pseudonym import pseudonym
from serving.features.segments import Segments
from serving.service.settings import Settings
from serving.state import snapshot
from serving.state.interface import plans_of
from tests.components.ingest.without_beam import NOW_US
from tests.serving.features.simulated import DATASET, Shop, differing, ingested, ingested_shop, with_history
from tests.serving.service.state.test_replayed_day import before_the_first_event, locations, logged, replayed
from tests.serving.state.private_redis import private_redis

SALT = bytes(range(16))
OWN = yaml.safe_load(DATASET.read_text(encoding="utf-8"))
OWN["features"].append({"name": "user", "kind": "id", "side": "user", "buckets": 500})
OWN["serving"] = {"segment": ["segment"]}
TEXT = yaml.safe_dump(OWN, sort_keys=False)
pseudonym_of = partial(pseudonym, salt=SALT)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """As it knows its shoppers: by their ids."""
    return ingested_shop(tmp_path_factory.mktemp("shop"), events=4_000, text=TEXT)


def with_pseudonyms(table: Path, column: str) -> None:
    pl.read_parquet(table).with_columns(pl.col(column).map_elements(pseudonym_of, pl.String)).sort(column).write_parquet(table)


@pytest.fixture
def state(shop: Shop, tmp_path: Path) -> Path:
    """What the service begins with: nobody did anything, and the table of users has pseudonyms."""
    state = before_the_first_event(shop, tmp_path / "state")
    with_pseudonyms(state / "catalogue" / "users.parquet", "user")
    return state


def served(shop: Shop, state: Path, folder: Path, **others: Any) -> Path:
    """Replay the shop's log through a service; return the log that this one writes."""
    (folder / "shop.yaml").write_text(TEXT)
    places = locations(state, folder / "data" / "log", dataset=folder / "shop.yaml", **others)
    asyncio.run(replayed(shop, Settings(logged_features=1.0, salt=SALT, deadline_ms=60_000), places))
    return folder / "data" / "log"


def from_log(shop: Shop, folder: Path) -> Shop:
    """What ingestion makes of that log, with a table of users that has pseudonyms."""
    for name in ("users.parquet", "items.parquet"):
        shutil.copy(shop.data / name, folder / "data" / name)
    with_pseudonyms(folder / "data" / "users.parquet", "user_id")
    _, interactions = log_sources(shop.dataset, "log")  # lists are reported as seen: there is no file of impressions
    return ingested(yaml.safe_dump(OWN | {"events": interactions}, sort_keys=False), folder / "data", folder / "out")


@contextmanager
def kept_in(store: str, folder: Path) -> Iterator[dict[str, Any]]:
    if store == "memory":
        yield {"snapshot": folder / "snapshot"}
    else:
        with private_redis() as client:
            yield {"redis": f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/0"}


@pytest.mark.parametrize("store", ["memory", "redis"])
def test_what_the_model_gets_is_what_ingestion_makes_of_the_log(store: str, shop: Shop, state: Path, tmp_path: Path) -> None:
    with kept_in(store, tmp_path) as kept:
        log = served(shop, state, tmp_path, **kept)
    sent, trained_on = logged(shop, log), from_log(shop, tmp_path)
    assert trained_on.examples.keys() == shop.examples.keys()
    assert {name: wrong for name, example in trained_on.examples.items() if (wrong := differing(shop.dataset, sent[name], example))} == {}
    assert len({example["user"][0] for example in trained_on.examples.values()}) > 20
    assert {example["country"][0] for example in trained_on.examples.values()} > {b"DE", b"NL"}
    assert with_history(trained_on) > 30
    if store == "memory":  # whose items within segments are counted by the table of users
        plans, codes = plans_of(shop.dataset), shop.catalogue().codes
        there, made = (snapshot.load(folder, plans, codes).items for folder in (tmp_path / "snapshot", trained_on.state))
        assert there is not None
        assert made is not None
        assert sum(key.startswith("\x1f") for key in made.keys) > 100
        assert to_table(there.state, there.keys, there.plan).equals(to_table(made.state, made.keys, made.plan))


def test_no_id_is_in_the_log(shop: Shop, state: Path, tmp_path: Path) -> None:
    log = served(shop, state, tmp_path)
    ids = {example["user"][0] for example in shop.examples.values()}
    files = {path.name: path.name.encode() + path.read_bytes() for path in log.iterdir()}
    assert {name.split("-")[0] for name in files} >= {"decisions", "interactions"}
    assert [(each, name) for name, content in files.items() for each in ids if each in content] == []
    found = b"".join(files.values())
    assert len([each for each in ids if pseudonym_of(each.decode()).encode() in found]) == len(ids) > 20


def test_the_shops_own_table_of_users_goes_on_working(shop: Shop, tmp_path: Path) -> None:
    state = before_the_first_event(shop, tmp_path / "state")
    sent = logged(shop, served(shop, state, tmp_path))
    for name, example in shop.examples.items():
        user = np.array([pseudonym_of(example["user"][0].decode()).encode()], object)
        assert differing(shop.dataset, sent[name], example | {"user": user}) == []


def test_users_are_found_by_id_or_pseudonym(shop: Shop, state: Path) -> None:
    plain = shop.catalogue()
    hashed = Shop(shop.dataset, shop.data, state, {}).catalogue().with_pseudonyms(pseudonym_of)
    segments = [Segments(shop.dataset, each) for each in (plain, hashed)]
    assert hashed.users.ids == sorted(map(pseudonym_of, plain.users.ids))
    for user in [*plain.users.ids, "nobody", ""]:
        assert plain.users.values(user, NOW_US) == hashed.users.values(user, NOW_US) == hashed.users.values(pseudonym_of(user), NOW_US)
        assert segments[0].key(user, {}, time_us=NOW_US) == segments[1].key(user, {}, time_us=NOW_US)
    assert segments[1].key(plain.users.ids[0], {}, time_us=NOW_US) is not None
