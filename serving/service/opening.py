"""A service put together from its files, and taken apart again."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from components.contract.dataset import Dataset
from components.contract.errors import StateUnavailable
from components.contract.load import load_dataset
from components.contract.popularity import popularity_column
from components.state.reducer import Features
from serving.client.hedging import HedgeSettings
from serving.client.model import ModelClient
from serving.experiments.file import Experiments, load_experiments
from serving.exposure.erase import erase
from serving.exposure.keys import shopper_key
from serving.exposure.log import ExposureLog, LogSettings
from serving.exposure.rows import EventRows
from serving.features.catalogue import Catalogue, load_catalogue
from serving.features.events import Changes
from serving.page.page import Page, read_values
from serving.page.shoppers import offered
from serving.rules.file import Rules, load_rules
from serving.service.intake import Intake
from serving.service.ladder import Ladder
from serving.service.metrics import Metrics
from serving.service.model_metrics import ModelMetrics
from serving.service.null_ids import NullIds
from serving.service.opened_state import OpenedState, Snapshots, open_state
from serving.service.parts import Parts
from serving.service.ranking import Ranking
from serving.service.rates import Rates
from serving.service.reasons import Explaining
from serving.service.settings import Places, Settings
from serving.service.shadow import Shadow
from serving.service.shop_rules import ShopRules
from serving.service.tls import to_model_server
from serving.service.tracing import tracing
from serving.sources.candidates import CandidateSources, compares, stands
from serving.sources.contents import contents_at
from serving.sources.file import Sources, load_sources
from serving.sources.standing import Standing, Watched, standing
from serving.state.seam import StateStores
from serving.state.tombstones import Forgotten, read_tombstones

_LOG = logging.getLogger(__name__)
ERASING_EVERY_S = 60.0  # looks for shoppers to be forgotten in the log


@dataclass(frozen=True)
class Read:
    """All that is read from files before the first request."""

    dataset: Dataset
    rules: Rules
    sources: Sources
    experiments: Experiments | None
    catalogue: Catalogue
    page_values: dict[str, list[str]] = field(default_factory=dict)


def read(places: Places) -> Read:
    """Read and check the files.

    Raises:
        ShelfRankError: one of them is missing or wrong.
    """
    dataset = load_dataset(places.dataset)
    rules = Rules(sets={}) if places.rules is None else load_rules(places.rules, dataset)
    sources = Sources(sources={}) if places.sources is None else load_sources(places.sources, dataset)
    experiments = None if places.experiments is None else load_experiments(places.experiments, rule_sets=list(rules.sets))
    values = {} if places.page_values is None else read_values(places.page_values, dataset)
    return Read(dataset, rules, sources, experiments, load_catalogue(places.state, dataset), values)


@asynccontextmanager
async def opened(settings: Settings, places: Places, found: Read) -> AsyncIterator[Parts]:
    """The parts of a service while it runs. At the end the log is completed, and then the state saved where a snapshot is wanted."""
    dataset, catalogue = found.dataset, found.catalogue
    state = await asyncio.to_thread(open_state, settings, places, dataset, catalogue)
    knowledge = state.knowledge
    sources, watched = await asyncio.to_thread(_sources, found, state.states)
    log = None if places.log is None else ExposureLog(dataset, LogSettings(places.log))
    credentials = to_model_server(places.model_server_ca) if places.model_server_tls else None
    spans = tracing()
    hedging = HedgeSettings(share=settings.hedged_share)
    model = ModelClient(
        places.model_servers,
        places.model,
        hedging=hedging,
        reuse_s=settings.reuse_ms / 1e3,
        credentials=credentials,
        interceptors=spans.on_the_way_to_the_model(),
    )
    model.connect()
    metrics = Metrics(deadline_s=settings.deadline_ms / 1e3)
    metrics.registry.register(ModelMetrics(model))
    shadow = _shadow(settings, places, metrics, log, credentials)
    changes = Changes(dataset, catalogue, key_of=partial(shopper_key, salt=settings.salt))
    ranking = Ranking(
        dataset,
        settings,
        knowledge=knowledge,
        ladder=Ladder(model, popular=popularity_column(dataset), most=settings.most_at_once),
        rules=ShopRules(found.rules, dataset),
        experiments=found.experiments,
        changes=changes,
        log=log,
        shadow=shadow,
        tracing=spans,
    )
    intake = Intake(
        dataset,
        settings,
        knowledge=knowledge,
        changes=changes,
        log=log,
        second_ids=catalogue.second_ids,
        tombstones=state.tombstones,
    )
    explaining = Explaining(settings, ranking=ranking, knowledge=knowledge, model=model)
    erasing = asyncio.create_task(_erasing(None if log is None else log.folder, EventRows(dataset), state))
    snapshots = None if state.memory is None or places.snapshot is None else Snapshots(state.memory, places, intake.settled)
    saving = None if snapshots is None else asyncio.create_task(snapshots.run())
    page = _page(settings, places, found, state=state, model=model) if settings.page else None
    watching = [asyncio.create_task(each.refreshed()) for each in watched]
    try:
        asking, telling = Rates(settings.asks_per_s), Rates(settings.tells_per_s)
        nulls, second = NullIds.of(dataset), catalogue.second_ids
        yield Parts(
            ranking, intake, explaining, knowledge, log, model.failing, sources, asking, telling, metrics, second, spans, page, nulls
        )
    finally:
        for each in watching:
            each.cancel()
        erasing.cancel()
        if saving is not None:
            saving.cancel()
        if shadow is not None:
            await shadow.close()
        await model.close()
        knowledge.close()
        await asyncio.to_thread(spans.close, settings.grace_s)
        if log is not None:
            await asyncio.to_thread(log.close, settings.grace_s)
        if snapshots is not None:
            await snapshots.save()


async def _erasing(log: Path | None, rows: EventRows, state: OpenedState) -> None:
    """Now and then forget whom other processes that share the folder were asked to forget, and erase from the log's complete files whom
    it was asked to; what a stop leaves undone the next start does."""
    while True:
        try:
            await asyncio.to_thread(state.tend)
            if log is not None:
                await asyncio.to_thread(erase, log, rows)
        except StateUnavailable as error:
            _LOG.warning("%s", error)
        except Exception as error:  # a file that can't be rewritten now mustn't end it; the wish stays
            _LOG.error("the log's files couldn't be rewritten without those to be forgotten: %s", type(error).__name__)
        await asyncio.sleep(ERASING_EVERY_S)


def _shadow(
    settings: Settings, places: Places, metrics: Metrics, log: ExposureLog | None, credentials: grpc.ChannelCredentials | None
) -> Shadow | None:
    if not settings.shadow:
        return None
    model = ModelClient(places.model_servers, places.model, hedging=HedgeSettings(share=0.0), credentials=credentials)
    return Shadow(model, label=settings.shadow, share=settings.shadow_share, registry=metrics.registry, log=log)


def _page(settings: Settings, places: Places, found: Read, *, state: OpenedState, model: ModelClient) -> Page:
    forgotten = Forgotten() if state.tombstones is None else read_tombstones(state.tombstones)
    return Page(
        found.dataset,
        found.catalogue,
        knowledge=state.knowledge,
        model=model,
        shoppers=[shopper for shopper in offered(places.state, found.catalogue.users) if shopper not in forgotten],
        values=found.page_values,
        label=settings.label,
        guarded=bool(settings.token),
    )


def _sources(found: Read, states: StateStores) -> tuple[CandidateSources, list[Watched[Any]]]:
    dataset, items = found.dataset, found.catalogue.items

    def known(items: list[str], time_us: int) -> Features | None:
        return states.known("", items, time_us).items

    def look(time_us: int) -> Standing:
        return standing(items.ids, known, dataset, popularity_column(dataset), time_us=time_us)

    watched = Watched(look) if stands(found.sources) else None
    contents = Watched(contents_at(found.sources, dataset, items)) if compares(found.sources) else None
    sources = CandidateSources(found.sources, dataset, items, watched, contents)
    return sources, [each for each in (watched, contents) if each is not None]
