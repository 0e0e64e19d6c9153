"""The same log gives the same bytes: however it is cut, in any process, and after a run that was killed."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.components.ingest.generators.random_shops import (
    DAY_US,
    SECOND,
    SHOPS,
    START_US,
    Event,
    Shop,
    blocks_of,
    dataset_text,
    events,
    everything,
    ingested,
    write_log,
)
from tests.components.ingest.without_beam import digests

ROOT = Path(__file__).resolve().parents[3]


def made(
    shop: Shop, log: list[Event], folder: Path, *, files: int = 1, group_rows: int = 1000, partitions: int = 1
) -> tuple[dict[str, str], Any]:
    """Digests of the examples and the state, but of the names of the files that were read, and the examples."""
    data, out = folder / f"{files}-{group_rows}", folder / f"out-{files}-{group_rows}-{partitions}"
    write_log(data, log, files=files, group_rows=group_rows)
    result = ingested(dataset_text(shop), data, out, partitions=partitions, blocks=blocks_of(dataset_text(shop), data))
    return digests(out / "examples") | state_digests(out), everything(result.examples)


def state_digests(out: Path) -> dict[str, str]:
    """Of what the state holds; which files it was read from is another matter."""
    return {name: digest for name, digest in digests(out / "state").items() if name != "sources.json"}


def named(shop: Shop, event: Event) -> Event:
    """A request that has no name is named by its row, but a list is named by what it holds."""
    if shop.form == "list":
        return event._replace(request="") if event.user else event
    return event._replace(request=event.request or "r9")


@pytest.mark.parametrize("name", ["impressions", "list", "sampling"])
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_bytes_do_not_tell_how_the_log_was_cut(name: str, data: st.DataObject) -> None:
    shop = SHOPS[name]
    kept = Event(START_US, "a", "i0", "click", "r0", shown=(("i0", 1.0),) if shop.form == "list" else ())
    log = [named(shop, event) for event in [*data.draw(events(shop), label="log"), kept]]
    files, group_rows = data.draw(st.integers(1, 3), label="files"), data.draw(st.integers(1, 7), label="group")
    partitions = data.draw(st.integers(1, 2), label="partitions")
    with tempfile.TemporaryDirectory() as name:
        whole, _ = made(shop, log, Path(name) / "whole", partitions=partitions)
        cut, _ = made(shop, log, Path(name) / "cut", files=files, group_rows=group_rows, partitions=partitions)
    assert cut == whole


def large_log(rows: int) -> list[Event]:
    """Six days of forty shoppers, in requests of five rows each, a second apart."""
    draw = np.random.default_rng(3)
    actions = draw.choice(["impression", "impression", "impression", "click", "cart"], rows).tolist()
    items = draw.choice(["i0", "i1", "i2", "i3", "x"], rows).tolist()
    users, times = (numbers.tolist() for numbers in (draw.integers(0, 40, rows), START_US + draw.integers(0, 6 * DAY_US, rows)))
    return [Event(times[n // 5] + n % 5 * SECOND, f"u{users[n // 5]}", items[n], actions[n], request=f"r{n // 5}") for n in range(rows)]


@pytest.mark.parametrize("name", ["impressions", "sampling"])
def test_the_bytes_of_a_larger_log_do_not_tell_how_it_was_cut(name: str, tmp_path: Path) -> None:
    log = large_log(2000)
    whole, _ = made(SHOPS[name], log, tmp_path, partitions=3)
    cut, _ = made(SHOPS[name], log, tmp_path, files=7, group_rows=60, partitions=3)
    assert cut == whole


@pytest.mark.parametrize("name", ["impressions", "sampling"])
def test_the_number_of_partitions_changes_no_example(name: str, tmp_path: Path) -> None:
    """Their files are other ones, as they depend on the size of the data; what stands in them is the same."""
    (_, one), (files, five) = (made(SHOPS[name], large_log(300), tmp_path, partitions=number) for number in (1, 5))
    assert len([path for path in files if path.startswith("Split-train")]) == 5
    assert repr(one) == repr({key: five[key] for key in one})
    assert one.keys() == five.keys()


def test_another_process_gives_the_same_bytes(tmp_path: Path) -> None:
    """Python's own hashes differ from process to process."""
    log = large_log(300)
    here, _ = made(SHOPS["sampling"], log, tmp_path, partitions=3)
    dataset = tmp_path / "shop.yaml"
    dataset.write_text(dataset_text(SHOPS["sampling"]))
    code = "from tests.components.ingest.without_beam import main; main()"
    data, out = tmp_path / "1-1000", tmp_path / "there"
    subprocess.run(
        [sys.executable, "-c", code, dataset, data, out, "3"], cwd=ROOT, check=True, env={**os.environ, "PYTHONHASHSEED": "7"}, timeout=120
    )
    assert digests(out / "examples") | state_digests(out) == here
