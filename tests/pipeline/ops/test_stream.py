"""`shelfrank stream` from files: what it leaves in Redis and in the log is what the next ingestion makes of that log."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import redis

from components.state import artifact
from components.state.reducer import State
from pipeline.cli.main import main
from pipeline.ops.stream import ingested_positions
from serving.state.item_codes import ItemCodes
from serving.stream.log.window_log import OFFSET
from tests.components.ingest.generators.random_shops import ingested
from tests.serving.state.private_redis import private_redis
from tests.serving.stream.shop import SHOP, Row, drawn, shop
from tests.serving.stream.state.test_stream_state import held


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    with private_redis() as made:
        yield made


def write_events(path: Path, rows: list[Row]) -> None:
    names = list(shop().actions)
    keys = ("time", "user", "item", "action", "request", "session", "position")
    lines = [dict(zip(keys, (*row[:3], names[row[3]], *row[4:], None), strict=True)) for row in rows]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def stream(client: redis.Redis, folder: Path, *options: str) -> int:
    (folder / "shop.yaml").write_text(SHOP)
    port = client.connection_pool.connection_kwargs["port"]
    return main(["stream", str(folder / "shop.yaml"), "--redis", f"redis://127.0.0.1:{port}/0", "--log", str(folder / "log"), *options])


def states_of(out: Path, side: str) -> tuple[list[str], State, list[str]]:
    """Keys and states of an ingestion, and the ids of the items by the codes in histories."""
    snapshot = artifact.load(out / "state" / side)
    return list(snapshot.keys), snapshot.state, pl.read_parquet(out / "state" / "index.parquet")["item"].to_list()


def test_the_next_ingestion_of_the_log_has_the_state_that_redis_has(client: redis.Redis, tmp_path: Path) -> None:
    rows = sorted(drawn(np.random.default_rng(5), 600), key=lambda row: row[0])
    write_events(tmp_path / "events.jsonl", rows)
    assert stream(client, tmp_path, "--from", str(tmp_path / "events.jsonl"), "--batch", "37") == 0
    text = SHOP.replace('"*.jsonl"', '"log/*.parquet"')
    ingested(text, tmp_path, tmp_path / "out", partitions=2)
    for side in ("users", "items"):
        names, expected, items = states_of(tmp_path / "out", side)
        now = held(client, names, side, ItemCodes(items))
        assert len(names) > 5
        for name in State._fields:
            left, right = getattr(now, name), getattr(expected, name)
            if name.startswith("history"):
                lengths = np.minimum(expected.written, left.shape[1])[:, None]
                left = np.take_along_axis(left, (now.written[:, None] - lengths + np.arange(left.shape[1])) % left.shape[1], axis=1)
                filled = np.arange(left.shape[1]) < lengths
                left, right = left[filled], right[filled]
            if name == "written":  # an ingestion's rings begin at 0
                left = np.minimum(left, 5)
            np.testing.assert_array_equal(left, right, err_msg=f"{side}: {name}")
    assert list(ingested_positions(tmp_path / "out" / "state").values()) == [(tmp_path / "events.jsonl").stat().st_size]


def test_a_stream_goes_on_where_the_loaded_state_ends(client: redis.Redis, tmp_path: Path) -> None:
    """The state of an ingestion is loaded into another Redis: what its log holds isn't read again."""
    rows = [row for row in sorted(drawn(np.random.default_rng(6), 300), key=lambda row: row[0]) if row[3] != 1]
    write_events(tmp_path / "events.jsonl", rows[:100])
    assert stream(client, tmp_path, "--from", str(tmp_path / "events.jsonl")) == 0
    ingested(SHOP.replace('"*.jsonl"', '"log/*.parquet"'), tmp_path, tmp_path / "out")
    with private_redis() as another:
        write_events(tmp_path / "events.jsonl", rows)
        assert stream(another, tmp_path, "--from", str(tmp_path / "events.jsonl"), "--state", str(tmp_path / "out/state"), "--load") == 0
        assert stream(client, tmp_path, "--from", str(tmp_path / "events.jsonl")) == 0
        names = sorted({row[1] for row in rows if row[1]})
        codes = ItemCodes(f"i{at}" for at in range(9))
        for name in ("counts", "totals", "last_us", "session_events"):
            np.testing.assert_array_equal(
                getattr(held(client, names, "users", codes), name), getattr(held(another, names, "users", codes), name)
            )


def test_dead_letters_are_taken_once_the_cause_is_mended(client: redis.Redis, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = tmp_path / "events.jsonl"
    write_events(events, [(1_790_000_000_000_000, "u1", "i1", 2, "", "s")])
    events.write_text(events.read_text() + '{"time": 1790000001000000, "user": "u1", "item": "i2", "action": "liked"}\n')
    assert stream(client, tmp_path, "--from", str(events), "--json") == 0
    assert json.loads(capsys.readouterr().out)["set aside: unknown action"] == 1
    mended = SHOP.replace("  click: {label: 1}", "  click: {label: 1, values: [click, liked]}")
    (tmp_path / "shop.yaml").write_text(mended)
    port = client.connection_pool.connection_kwargs["port"]
    command = ["stream", str(tmp_path / "shop.yaml"), "--redis", f"redis://127.0.0.1:{port}/0", "--log", str(tmp_path / "log")]
    for _ in range(2):
        assert main([*command, "--from", f"dead-letters:{tmp_path / 'log/dead-letters'}"]) == 0
    assert held(client, ["u1"], "users", ItemCodes()).totals[0].tolist() == [0, 0, 2, 0]
    logged = pl.concat([pl.read_parquet(path) for path in (tmp_path / "log").glob("*.parquet")], how="diagonal_relaxed")
    assert sorted(logged["item"]) == ["i1", "i2"]
    assert OFFSET in logged.columns


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--from", "nothing.jsonl"), "nothing.jsonl"),
        (("--from", "-", "--load"), "--state"),
        (("--from", "-", "--events", "1"), "--events from 0 to 0"),
        (("--from", "amqp://host/queue"), "expected a source"),
        (("--from", "events.csv"), "expected JSON Lines"),
    ],
)
def test_what_cant_be_used_is_refused_with_a_remedy(
    client: redis.Redis, tmp_path: Path, options: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stream(client, tmp_path, *options) == 2
    assert sentence in capsys.readouterr().err
