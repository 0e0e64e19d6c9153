"""A service put together from its files, and taken apart again."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from components.contract.dataset import Dataset
from components.contract.load import load_dataset
from components.state.reducer import Features
from serving.client.model import ModelClient
from serving.experiments.file import Experiments, load_experiments
from serving.exposure.log import ExposureLog, LogSettings
from serving.features.assemble import RequestFeatures
from serving.features.catalogue import Catalogue, load_catalogue
from serving.features.events import Changes
from serving.rules.file import Rules, load_rules
from serving.service.app import Parts
from serving.service.intake import Intake
from serving.service.knowledge import FarKnowledge, Knowledge, NearKnowledge
from serving.service.ladder import Ladder
from serving.service.ranking import Ranking
from serving.service.reasons import Explaining
from serving.service.settings import Places, Settings
from serving.service.shop_rules import ShopRules
from serving.service.stand_ins import popularity_column
from serving.sources.candidates import CandidateSources, stands
from serving.sources.file import Sources, load_sources
from serving.sources.standing import Standing, Watched, standing
from serving.state import folder
from serving.state.memory import MemoryStates
from serving.state.seam import StateStores, plans_of

_LOG = logging.getLogger(__name__)
TTL_S = 90 * 24 * 3600  # of what Redis keeps after a shopper's or a product's last event
REDIS_TIMEOUT_S = 0.25


@dataclass(frozen=True)
class Read:
    """All that is read from files before the first request."""

    dataset: Dataset
    rules: Rules
    sources: Sources
    experiments: Experiments | None
    catalogue: Catalogue


def read(places: Places) -> Read:
    """Read and check the files.

    Raises:
        ShelfRankError: one of them is missing or wrong.
    """
    dataset = load_dataset(places.dataset)
    rules = Rules(sets={}) if places.rules is None else load_rules(places.rules, dataset)
    sources = Sources(sources={}) if places.sources is None else load_sources(places.sources, dataset)
    experiments = None if places.experiments is None else load_experiments(places.experiments, rule_sets=list(rules.sets))
    return Read(dataset, rules, sources, experiments, load_catalogue(places.state, dataset))


@asynccontextmanager
async def opened(settings: Settings, places: Places, found: Read) -> AsyncIterator[Parts]:
    """The parts of a service while it runs. At the end the log is completed, and then the state saved where a snapshot is wanted."""
    dataset, catalogue = found.dataset, found.catalogue
    memory, states, knowledge = await asyncio.to_thread(_remembering, places, dataset, catalogue)
    sources, watched = await asyncio.to_thread(_sources, found, states)
    log = None if places.log is None else ExposureLog(dataset, LogSettings(places.log))
    model = ModelClient(places.model_server, places.model)
    model.connect()
    changes = Changes(dataset, catalogue)
    ranking = Ranking(
        dataset,
        settings,
        knowledge=knowledge,
        ladder=Ladder(model, popular=popularity_column(dataset)),
        rules=ShopRules(found.rules, dataset),
        experiments=found.experiments,
        changes=changes,
        log=log,
    )
    intake = Intake(dataset, settings, knowledge=knowledge, changes=changes, log=log)
    explaining = Explaining(settings, ranking=ranking, knowledge=knowledge, model=model)
    watching = None if watched is None else asyncio.create_task(watched.refreshed())
    try:
        yield Parts(ranking, intake, explaining, knowledge, log, model.failing, sources)
    finally:
        if watching is not None:
            watching.cancel()
        await model.close()
        knowledge.close()
        if log is not None:
            await asyncio.to_thread(log.close, settings.grace_s)
        if memory is not None and places.snapshot is not None:
            await asyncio.to_thread(folder.save, memory.snapshot(), places.snapshot)


def _sources(found: Read, states: StateStores) -> tuple[CandidateSources, Watched | None]:
    dataset, ids = found.dataset, found.catalogue.items.ids

    def known(items: list[str], time_us: int) -> Features | None:
        return states.known("", items, time_us).items

    def look(time_us: int) -> Standing:
        return standing(ids, known, dataset, popularity_column(dataset), time_us=time_us)

    watched = Watched(look) if stands(found.sources) else None
    return CandidateSources(found.sources, dataset, found.catalogue.items, watched), watched


def _remembering(places: Places, dataset: Dataset, catalogue: Catalogue) -> tuple[MemoryStates | None, StateStores, Knowledge]:
    plans = plans_of(dataset)
    if not places.redis:
        start = places.snapshot if places.snapshot is not None and places.snapshot.exists() else places.state
        memory = MemoryStates(plans, catalogue.codes, folder.load(start, plans, catalogue.codes))
        return memory, memory, NearKnowledge(RequestFeatures(dataset, catalogue, memory), memory)
    # Only who uses it waits for its import.
    import redis

    from serving.state.redis import RedisStates

    client = redis.Redis.from_url(places.redis, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S)
    states = RedisStates(client, shop=dataset.name, plans=plans, codes=catalogue.codes, ttl_s=TTL_S)
    if places.load:
        _LOG.info("%d keys were brought into Redis", states.load(places.state))
    stranger = RequestFeatures(dataset, catalogue, MemoryStates(plans, catalogue.codes))
    return None, states, FarKnowledge(RequestFeatures(dataset, catalogue, states), stranger, states)
