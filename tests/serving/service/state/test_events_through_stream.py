"""The loop through a stream: a click that a service writes to it changes the scores of every service, under the shopper's pseudonym."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
import redis

from serving.exposure.pseudonym import pseudonym
from tests.serving.service.conftest import Started
from tests.serving.service.little_shop import ITEMS, SHOP
from tests.serving.state.private_redis import private_redis

ROOT = Path(__file__).parents[4]
AS_LOGGED = SHOP.replace(
    "{time: at, user: user, item: item, action: action, request: request, session: visit, revenue: paid, quantity: pieces}",
    "{time: time, user: user, item: item, action: action, request: request, session: session, revenue: revenue, quantity: quantity}",
).replace("events.csv", "'*.jsonl'")


@contextmanager
def consuming(folder: Path, port: int, *options: str) -> Iterator[None]:
    """`shelfrank stream` on the events of the service."""
    folder.mkdir()
    (folder / "shop.yaml").write_text(AS_LOGGED)
    command = [
        sys.executable, "-m", "pipeline.cli", "stream", str(folder / "shop.yaml"), "--from", f"redis://127.0.0.1:{port}/0?stream=clicks",
        "--redis", f"redis://127.0.0.1:{port}/1", "--log", str(folder / "log"), *options,
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True)
    try:
        yield
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


@pytest.mark.parametrize("salt", [None, bytes(range(16))])
def test_a_click_changes_the_scores_of_all_services(started: Started, tmp_path: Path, salt: bytes | None) -> None:
    with private_redis() as server:
        port = server.connection_pool.connection_kwargs["port"]
        places = {"redis": f"redis://127.0.0.1:{port}/1", "events_to": f"redis://127.0.0.1:{port}/0?stream=clicks"}
        one, other = started(places=places, salt=salt), started(places=places, salt=salt)
        before = other.rank(*ITEMS, shopper="a")
        folder = tmp_path / "consumer"
        with consuming(folder, port):
            assert one.post("/v1/events", {"interactions": [{"shopper": "a", "action": "click", "item": "p1"}]}).json == {"accepted": 1}
            until_s = time.monotonic() + 120
            while (after := other.rank(*ITEMS, shopper="a"))["scores"] == before["scores"]:
                assert time.monotonic() < until_s
                time.sleep(0.05)
        assert (before["rung"], after["rung"]) == ("model", "model")
        assert other.rank(*ITEMS, shopper="b")["scores"] != after["scores"]
        logged = pl.concat([pl.read_parquet(path) for path in (folder / "log").glob("*.parquet")], how="diagonal_relaxed")
        assert logged.filter(pl.col("action") == "click")["user"].to_list() == [pseudonym("a", salt)]
        with redis.Redis(port=port, db=1) as state:
            assert bool([key for key in state.scan_iter() if key.endswith(b"}a")]) == (salt is None)
