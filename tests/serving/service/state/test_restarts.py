"""What a service in memory knows after it was killed: snapshot, ingestion and log together are what it had acknowledged."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from components.contract.errors import InputError
from serving.service.lifespan import load_files
from serving.service.settings import Locations, Settings
from serving.service.state import opened_state
from serving.state import snapshot
from serving.state.interface import plans_of
from serving.state.item_codes import ItemCodes
from tests.serving.service.conftest import Shop, Started
from tests.serving.service.little_shop import ITEMS, SHOP, dataset
from tests.serving.service.running import Service
from tests.serving.service.state.test_large_event_calls import in_state, until

T_US = 1_770_000_000_000_000
SALT = bytes(range(16))


def click(shopper: str, n: int, item: str = "p0") -> dict[str, Any]:
    return {"action": "click", "item": item, "shopper": shopper, "time_us": T_US + n, "request": f"r{n}"}


def took(service: Service, *events: dict[str, Any]) -> None:
    assert service.post("/v1/events", {"interactions": events}).status == 200


def as_killed(of: dict[str, Path], to: Path) -> dict[str, Path]:
    """Copies of what a service has on the disk at this moment: as a kill leaves it."""
    for name, path in of.items():
        if path.exists():
            shutil.copytree(path, to / name)
    return {name: to / name for name in of}


def state_of(places: dict[str, Path], name: str = "snapshot") -> dict[str, Any]:
    """A saved state by key, whatever its keys' order."""
    saved = snapshot.load(places[name], plans_of(dataset()), codes := ItemCodes(ITEMS))
    assert saved.users is not None
    assert saved.items is not None
    found = {}
    for side in (saved.users, saved.items):
        for row, key in enumerate(side.keys):
            values = {field: np.asarray(getattr(side.state, field)[row]) for field in side.state._fields}
            values["history_item"] = np.array([codes.name(int(code)) for code in values["history_item"]])
            found[key] = {field: value.tolist() for field, value in values.items()}
    return found


@pytest.mark.parametrize("salt", [None, SALT], ids=["ids", "salted"])
def test_a_kill_loses_nothing_that_was_acknowledged(started: Started, tmp_path: Path, salt: bytes | None) -> None:
    """Clicks, lists of the page and of `rank`, guests, and a session: bit for bit what the service had."""
    places = {"log": tmp_path / "log", "snapshot": tmp_path / "snapshot"}
    service = started(places=places, salt=salt)
    shown = {"request": "r1", "items": ["p2", "p1", "p5"], "shopper": "a", "session": "s", "time_us": T_US, "context": {"device": "x"}}
    assert service.post("/v1/events", {"impressions": [shown, {**shown, "request": "r2", "shopper": ""}]}).status == 200
    took(service, click("a", 1), {**click("b", 2), "session": "t", "revenue": 1.5}, {"action": "search", "shopper": "new", "time_us": T_US})
    ranked = service.rank("p0", "p1", shopper="a", places=2)["request"].encode()
    until(lambda: any(ranked in path.read_bytes() for path in places["log"].glob("impressions-*")))
    copies = as_killed(places, tmp_path / "killed")
    service.stop()
    again = started(places=copies, salt=salt)
    unknown = again.rank(*ITEMS)["scores"]
    assert again.rank(*ITEMS, shopper="new")["scores"] == unknown
    assert again.rank(*ITEMS, shopper="a")["scores"] != unknown
    took(again, click("new", 3))
    assert again.rank(*ITEMS, shopper="new")["scores"] != again.rank(*ITEMS)["scores"]
    assert again.call("DELETE", "/v1/shoppers/new").status == 204
    assert again.rank(*ITEMS, shopper="new")["scores"] == again.rank(*ITEMS)["scores"]
    again.stop()
    before, after = state_of(places), state_of(copies)
    of_item = after.pop("p0")
    assert of_item["totals"][-1] == before.pop("p0")["totals"][-1] + 1
    before.pop("new")
    # Whoever came only after the last snapshot goes by his key in the log where that has a salt.
    assert sorted(map(json.dumps, before.values())) == sorted(map(json.dumps, after.values()))


@pytest.mark.parametrize("kept", ["snapshot and log", "log", "an old snapshot and log"])
def test_an_event_sent_again_after_a_kill_counts_once(started: Started, tmp_path: Path, kept: str) -> None:
    places = {"log": tmp_path / "log"} | ({} if kept == "log" else {"snapshot": tmp_path / "snapshot"})
    events = [click("a", n) for n in range(5)]
    service = started(places=places)
    took(service, *events[:3])
    if kept == "an old snapshot and log":
        service.stop()
        service = started(places=places)
    took(service, *events[3:])
    if kept == "snapshot and log":
        service.stop()
    again = started(places=as_killed(places, tmp_path / "killed"))
    assert in_state(again) == 5
    took(again, *events)
    assert in_state(again) == 5


def test_snapshots_are_taken_while_it_runs(started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened_state, "SAVED_EVERY_S", 0.05)
    places = {"log": tmp_path / "log", "snapshot": tmp_path / "snapshot"}
    service = started(places=places)
    took(service, click("a", 0))
    until(lambda: snapshot.exists(places["snapshot"]) and snapshot.data_end_us(places["snapshot"]) == T_US)
    took(service, click("a", 1))
    until(lambda: snapshot.exists(places["snapshot"]) and snapshot.data_end_us(places["snapshot"]) == T_US + 1)
    (tmp_path / "only").mkdir()
    shutil.copytree(places["snapshot"], tmp_path / "only" / "snapshot")
    assert in_state(started(places={"snapshot": tmp_path / "only" / "snapshot"})) == 2


def ingested(shop: Shop, started: Started, base: Path, *events: dict[str, Any], sources: dict[str, Any] | None = None) -> Path:
    """A state as ingestion leaves it, of some events."""
    service = started(places={"snapshot": base / "made"})
    took(service, *events)
    service.stop()
    state = base / "state"
    shutil.copytree(shop.state, state)
    for name in ("users", "items", "index.parquet"):
        path = state / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        source = base / "made" / name
        shutil.copytree(source, path) if source.is_dir() else shutil.copy(source, path)
    if sources is not None:
        (state / "sources.json").write_text(json.dumps(sources))
    return state


def test_a_newer_ingestion_goes_before_an_older_snapshot_and_the_log_adds_what_came_since(
    shop: Shop, started: Started, tmp_path: Path
) -> None:
    """By hand: the snapshot has 2 clicks up to second 1; ingestion 7 up to second 6; the log 2 later ones, of which none is in either."""
    places = {"log": tmp_path / "log", "snapshot": tmp_path / "snapshot"}
    first = started(places=places)
    took(first, click("a", 0), click("a", 1))
    first.stop()
    second = started(places={"log": places["log"]})
    took(second, click("a", 8), click("a", 9))
    second.stop()
    state = ingested(shop, started, tmp_path, *(click("b", n) for n in range(7)))
    assert in_state(started(places={**places, "state": state})) == 9


def test_an_older_ingestion_leaves_the_snapshot(shop: Shop, started: Started, tmp_path: Path) -> None:
    state = ingested(shop, started, tmp_path, *(click("b", n) for n in range(3)))
    first = started(places={"snapshot": tmp_path / "snapshot", "state": state})
    took(first, click("a", 7))
    first.stop()
    assert in_state(started(places={"snapshot": tmp_path / "snapshot", "state": state})) == 4


def test_of_a_log_that_was_ingested_only_later_files_are_added(shop: Shop, started: Started, tmp_path: Path) -> None:
    """A file that was still written when ingestion read the others may hold events that are older than its newest."""
    log = tmp_path / "log"
    for n in (0, 5):
        service = started(places={"log": log})
        took(service, click("a", n))
        service.stop()
    (first,) = (path.name for path in log.glob("interactions-*") if f'"time":{T_US},' in path.read_text())
    state = ingested(
        shop, started, tmp_path, click("a", 0), click("c", 9), sources={"files": [first], "last_us": T_US + 9, "ends_us": None}
    )
    service = started(places={"log": log, "state": state})
    assert in_state(service) == 3
    took(service, click("a", 0), click("a", 5))  # sent again
    assert in_state(service) == 3


def test_a_snapshot_of_another_dataset_file_is_refused_with_a_remedy_that_works(shop: Shop, started: Started, tmp_path: Path) -> None:
    places = {"log": tmp_path / "log", "snapshot": tmp_path / "snapshot"}
    service = started(places=places)
    took(service, click("a", 0))
    service.stop()
    changed = tmp_path / "changed.yaml"
    changed.write_text(SHOP.replace("length: 5", "length: 4"))
    state = tmp_path / "state"
    shutil.copytree(shop.state, state)
    shutil.rmtree(state / "users")  # as of an ingestion with the changed file, in which nobody has an id
    where = Locations(dataset=changed, state=state, model_server=shop.address, model="shop", log=places["log"], snapshot=places["snapshot"])
    with pytest.raises(InputError, match=rf"history_length.* Or move {places['snapshot']} away: the state then begins with {state}"):
        opened_state.open_state(Settings(), where, load_files(where).dataset, load_files(where).catalogue)
    places["snapshot"].rename(tmp_path / "away")
    assert in_state(started(places={**places, "dataset": changed, "state": state})) == 1


def test_a_snapshot_says_what_of_the_log_is_in_it(started: Started, tmp_path: Path) -> None:
    places = {"log": tmp_path / "log", "snapshot": tmp_path / "snapshot"}
    service = started(places=places)
    took(service, click("a", 0))
    service.stop()
    names = {path.name.removesuffix(".jsonl") for path in places["log"].glob("i*.jsonl")}
    assert set(pq.read_table(places["snapshot"] / "log.parquet")["file"].to_pylist()) == names
