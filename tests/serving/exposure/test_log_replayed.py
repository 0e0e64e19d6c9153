"""A log replayed into the service's state: what ingestion makes of the same files, and nothing that ingestion has read already."""

import json
from pathlib import Path

import numpy as np

from components.ingest.sources.files import layout
from components.state.artifact import Snapshot
from components.state.reducer import State
from serving.features.catalogue import load_catalogue
from serving.service.state.log_replay import LogCoverage, LogReplay, since_ingestion
from serving.state import snapshot
from serving.state.interface import plans_of
from serving.state.memory import MemoryStates
from serving.state.tombstones import Forgotten
from tests.components.ingest.generators.random_shops import parsed
from tests.components.ingest.without_beam import job_of, run_steps
from tests.serving.exposure.shop_log import click, log
from tests.serving.exposure.test_log_ingested import REQUESTS, reading, written


def by_key(taken: Snapshot | None) -> dict[str, list[bytes]]:
    assert taken is not None
    order = np.argsort(np.array(taken.keys))
    return {taken.keys[row]: [np.ascontiguousarray(getattr(taken.state, name)[row]).tobytes() for name in State._fields] for row in order}


def test_a_replayed_log_is_what_ingestion_makes_of_it_and_counts_once(tmp_path: Path) -> None:
    written(tmp_path)
    shop, state, files = parsed(reading()), tmp_path / "out" / "state", tmp_path / "log"
    run_steps(job_of(reading(), tmp_path, tmp_path / "out"), layout(shop, str(tmp_path)).blocks)
    plans = plans_of(shop)

    def replayed(since: LogCoverage, *, forgotten: Forgotten, from_ingestion: bool) -> tuple[int, MemoryStates]:
        catalogue = load_catalogue(state, shop)
        states = MemoryStates(plans, catalogue.codes, snapshot.load(state, plans, catalogue.codes) if from_ingestion else None)
        return LogReplay(shop, catalogue, None).replay(states, files, since, forgotten), states

    counted, states = replayed(LogCoverage(), forgotten=Forgotten(), from_ingestion=False)
    assert counted == REQUESTS + REQUESTS // 2
    made, ingested = states.snapshot(), snapshot.load(state, plans, load_catalogue(state, shop).codes)
    assert by_key(made.users) == by_key(ingested.users)
    assert by_key(made.items) == by_key(ingested.items)

    read = json.loads((state / "sources.json").read_text())
    assert read["files"] == sorted(path.name for path in files.glob("i*.jsonl"))
    end_us = snapshot.data_end_us(state)
    assert end_us == read["last_us"]
    assert replayed(since_ingestion(files, state, end_us), forgotten=Forgotten(), from_ingestion=True)[0] == 0
    writer = log(files)
    writer.commit([click(3), click(4, shopper="gone"), click(4)]).result(10)  # the first again; and late ones, that ingestion didn't see
    forgotten = Forgotten()
    forgotten.add("gone", 1 << 60)
    counted, states = replayed(since_ingestion(files, state, end_us), forgotten=forgotten, from_ingestion=True)
    assert writer.close(10)
    assert (counted, "gone" in states.names()) == (1, False)
