"""A simulated log replayed through the service: the features in its log equal those of ingestion's examples, bit for bit."""

import asyncio
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from components.contract.columns import signature_columns
from serving.features.request import Inputs
from serving.service.lifespan import load_files, open_service
from serving.service.ranking.ranking import RankRequest
from serving.service.settings import Locations, Settings
from serving.service.state.event_intake import ReportedEvent
from serving.state import snapshot
from serving.state.interface import plans_of
from serving.state.memory import MemoryStates
from tests.components.ingest.without_beam import NOW_US
from tests.serving.features.simulated import DATASET, Shop, differing, ingested_shop, moments, with_history
from tests.serving.service.bad_model_servers import free_port

DTYPES = {"string": object, "float32": np.float32, "int64": np.int64}
LENGTHS = {"candidate": "n_candidates", "history": "n_history"}


def locations(state: Path, log: Path, **others: Any) -> Locations:
    nowhere = {"model_server": f"127.0.0.1:{free_port()}", "model": "none"}
    return Locations(**{"dataset": DATASET, "state": state, "log": log, **nowhere, **others})


async def replayed(shop: Shop, settings: Settings, places: Locations) -> None:
    async with open_service(settings, places, load_files(places)) as parts:
        for requests, happened in moments(shop):
            for request in requests:
                asked = RankRequest(
                    candidates=request.candidates,
                    shopper=request.shopper,
                    session=request.session,
                    request=request.request,
                    context=request.context,
                )
                await parts.ranking.rank(asked, now_us=request.time_us, began_s=time.monotonic())
            context = {request.request: request.context for request in requests}
            if happened:
                reported = [ReportedEvent(event, context=context.get(event.request, {})) for event in happened]
                await parts.intake.record(reported, now_us=NOW_US)


def before_the_first_event(shop: Shop, state: Path) -> Path:
    """A state of which nobody knows anything yet, with the shop's tables."""
    snapshot.save(MemoryStates(plans_of(shop.dataset), shop.catalogue().codes).snapshot(), state)
    shutil.copytree(shop.state / "catalogue", state / "catalogue")
    return state


def logged(shop: Shop, log: Path) -> dict[str, Inputs]:
    """By request, the tensors that the log says were sent, without what fills lists up behind their ends."""
    columns = signature_columns(shop.dataset)
    asked = {column.name: DTYPES[column.dtype] for column in columns}
    lengths = {column.name: LENGTHS[column.axis] for column in columns if column.axis != "request"}
    found = {}
    for path in log.glob("decisions-*.jsonl"):
        for line in path.read_text().splitlines():
            decision: dict[str, Any] = json.loads(line)
            tensors = {name: np.array(values, asked[name]) for name, values in decision["features"].items()}
            for values in tensors.values():
                if values.dtype == object:
                    values[...] = np.array([text.encode() for text in values.ravel()], object).reshape(values.shape)
            for name, length in lengths.items():
                end = int(tensors[length][0])
                assert not tensors[name][:, end:].any()
                tensors[name] = tensors[name][:, :end]
            found[decision["request"]] = Inputs(tensors, 0)
    return found


def test_the_features_logged_are_those_that_ingestion_computes_from_the_same_log(tmp_path: Path) -> None:
    shop = ingested_shop(tmp_path / "shop", events=4_000)
    state = before_the_first_event(shop, tmp_path / "state")
    asyncio.run(replayed(shop, Settings(logged_features=1.0), locations(state, tmp_path / "log")))
    found = logged(shop, tmp_path / "log")
    assert {name: wrong for name, example in shop.examples.items() if (wrong := differing(shop.dataset, found[name], example))} == {}
    assert len(shop.examples) > 150
    assert with_history(shop) > 30
