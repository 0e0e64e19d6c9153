"""Devices of an account: whoever asks, acts or is forgotten under a device's id does so as the account."""

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from components.contract.errors import InputError
from serving.exposure.pseudonym import pseudonym
from serving.service.lifespan import load_files
from serving.service.settings import Locations
from tests.serving.service.conftest import Shop, Started
from tests.serving.service.little_shop import ITEMS, SHOP
from tests.serving.service.running import Service

T_US = 1_770_000_000_000_000
SALT = bytes(range(16))
DEVICES = [("d1", T_US, "a"), ("d2", 0, "b"), ("d2", T_US, "a"), ("d3", 0, "b")]


@pytest.fixture
def places(shop: Shop, tmp_path: Path) -> dict[str, Any]:
    """The little shop with a table of devices, and a log."""
    state, dataset, log = tmp_path / "state", tmp_path / "shop.yaml", tmp_path / "log"
    shutil.copytree(shop.state, state)
    table = pl.DataFrame(DEVICES, schema={"id": pl.String, "__from__": pl.Int64, "user": pl.String}, orient="row")
    table.write_parquet(state / "catalogue" / "identities.parquet")
    devices = "identities: {path: devices.csv, id: device, user: account, valid_from: at}\n"
    dataset.write_text(SHOP.replace("actions:\n", f"{devices}actions:\n"))
    log.mkdir()
    return {"state": state, "dataset": dataset, "log": log}


def click(service: Service, shopper: str, item: str, time_us: int = T_US + 1) -> None:
    event = {"action": "click", "item": item, "shopper": shopper, "time_us": time_us}
    assert service.post("/v1/events", {"interactions": [event]}).status == 200


def clicks(service: Service, shopper: str) -> int:
    told: dict[str, Any] = service.get(f"/page/shopper?shopper={shopper}").json
    return int(told["interactions"])


def users(log: Path) -> list[str]:
    return [json.loads(line)["user"] for path in sorted(log.glob("interactions-*")) for line in path.read_text().splitlines()]


def test_events_of_a_device_are_the_accounts_from_the_time_it_is(started: Started, places: dict[str, Any]) -> None:
    service = started(places=places, page=True)
    click(service, "d1", "p0")
    click(service, "d1", "p1", T_US - 1)  # before it was anybody's
    click(service, "d2", "p0", T_US - 1)  # which was b's
    click(service, "a", "p2")
    assert users(places["log"]) == ["a", "d1", "b", "a"]
    assert [clicks(service, who) for who in ("a", "d1", "d2", "b", "d3")] == [2, 2, 2, 1, 1]
    assert service.get("/page/shopper?shopper=d3").json["facts"] == {"country": "FR"}


def test_a_device_is_ranked_and_explained_as_its_account(started: Started, places: dict[str, Any]) -> None:
    service = started(places=places)
    for item in ("p0", "p1", "p2"):
        click(service, "a", item)
    as_account, as_device, stranger = (service.rank(*ITEMS, shopper=who)["scores"] for who in ("a", "d1", "d9"))
    assert as_account == as_device != stranger
    body = {"candidates": ITEMS}
    told = [service.post("/v1/explain", {**body, "shopper": who}).json["others"] for who in ("a", "d1", "d9")]
    assert told[0] == told[1] != told[2]


@pytest.mark.parametrize("named", ["a", "d1", "d2"])
def test_whichever_id_is_forgotten_all_of_the_shopper_is(started: Started, places: dict[str, Any], named: str) -> None:
    service = started(places=places, page=True, salt=SALT)
    click(service, "a", "p0")
    click(service, "d1", "p0", T_US - 1)
    click(service, "b", "p0")
    assert service.call("DELETE", f"/v1/shoppers/{named}").status == 204
    assert [clicks(service, who) for who in ("a", "d1", "b")] == [0, 0, 1]
    wishes = {json.loads(path.read_bytes())["shopper"] for path in places["log"].glob("*.forget")}
    assert wishes == {pseudonym(each, SALT) for each in ("a", "d1", "d2")}


def test_without_the_table_the_service_says_what_is_missing(places: dict[str, Any], shop: Shop) -> None:

    (places["state"] / "catalogue" / "identities.parquet").unlink()
    with pytest.raises(InputError, match="expected the second ids of the last ingestion in"):
        load_files(Locations(**{"model_server": shop.address, "model": "shop", **places}))
