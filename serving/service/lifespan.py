"""A service put together from its files, and taken apart again."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import grpc

from components.contract.dataset import Dataset
from components.contract.errors import ModelUnavailable, StateUnavailable
from components.contract.load import load_dataset
from components.contract.popularity import popularity_column
from components.state.reducer import Features
from serving.client.hedging import HedgeSettings
from serving.client.model import ModelClient
from serving.exposure.erase import erase
from serving.exposure.log import ExposureLog, LogSettings
from serving.exposure.pseudonym import pseudonym
from serving.exposure.serialization import EventRows
from serving.features.catalogue import Catalogue, load_catalogue
from serving.features.events import Changes
from serving.service.http.rate_limit import Rates
from serving.service.page.page import Page, read_values
from serving.service.page.shoppers import known_to, offered
from serving.service.ranking.explain import Explaining
from serving.service.ranking.fallback_chain import Ladder
from serving.service.ranking.ranking import Ranking
from serving.service.ranking.shadow import Shadow
from serving.service.ranking.shop_files import InForce, LiveShopFiles, ShopFiles, read_shop_files
from serving.service.ranking.shop_rules import ShopRules
from serving.service.service_context import Parts
from serving.service.settings import Places, Settings
from serving.service.state.empty_state import EmptyState
from serving.service.state.event_intake import Intake
from serving.service.state.null_ids import NullIds
from serving.service.state.opened_state import OpenedState, Snapshots, open_state
from serving.service.telemetry.metrics import Metrics
from serving.service.telemetry.model_metrics import ModelMetrics
from serving.service.telemetry.tracing import tracing
from serving.service.tls import to_model_server
from serving.sources.candidates import CandidateSources, compares, stands
from serving.sources.contents import contents_at
from serving.sources.file import Sources
from serving.sources.popularity_ranking import REFRESH_S, Standing, Watched, standing
from serving.state.interface import StateStores
from serving.state.tombstones import Forgotten, read_tombstones

_LOG = logging.getLogger(__name__)
FIRST_S = 10.0  # how long the model server may take to say what it has
ERASING_EVERY_S = 60.0  # looks for shoppers to be forgotten in the log, and for files that are too old


@dataclass(frozen=True)
class Read:
    """All that is read from files before the first request."""

    dataset: Dataset
    shop_files: ShopFiles
    catalogue: Catalogue
    page_values: dict[str, list[str]] = field(default_factory=dict)


def read(places: Places) -> Read:
    """Read and check the files.

    Raises:
        ShelfRankError: one of them is missing or wrong.
    """
    dataset = load_dataset(places.dataset)
    shop_files = read_shop_files(places, dataset)
    values = {} if places.page_values is None else read_values(places.page_values, dataset)
    return Read(dataset, shop_files, load_catalogue(places.state, dataset), values)


@asynccontextmanager
async def opened(settings: Settings, places: Places, found: Read) -> AsyncIterator[Parts]:
    """The parts of a service while it runs. At the end the log is completed, and then the state saved where a snapshot is wanted."""
    dataset, catalogue = found.dataset, found.catalogue
    state = await asyncio.to_thread(open_state, settings, places, dataset, catalogue)
    knowledge = state.knowledge
    log = None if places.log is None else ExposureLog(dataset, LogSettings(places.log, retention=settings.retention))
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
    shop = await asyncio.to_thread(_shop_files, places, found, state.states, metrics)
    shadow = _shadow(settings, places, metrics, log, credentials)
    changes = Changes(dataset, catalogue, pseudonym_of=partial(pseudonym, salt=settings.salt))
    ranking = Ranking(
        dataset,
        settings,
        knowledge=knowledge,
        ladder=Ladder(model, popular=popularity_column(dataset), most=settings.most_at_once),
        shop=shop,
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
    snapshots = None if state.memory is None or places.snapshot is None else Snapshots(state.memory, places, intake.settled)
    page = _page(settings, places, found, state=state, model=model) if settings.page else None
    empty = EmptyState(state.states, dataset, known_to(places.state) if places.redis else [])
    watching = [
        _tidying(log, EventRows(dataset), state),
        shop.followed(),
        _refreshing(shop),
        _asked_for(places, credentials),
        empty.watched(),
    ]
    tasks = [asyncio.create_task(each) for each in (watching if snapshots is None else [*watching, snapshots.run()])]

    def failing() -> list[str]:
        return [*model.failing(), *shop.failing(), *empty.failing()]

    try:
        asking, telling = Rates(settings.asks_per_s), Rates(settings.tells_per_s)
        nulls, second = NullIds.from_dataset(dataset), catalogue.second_ids
        yield Parts(ranking, intake, explaining, knowledge, log, failing, shop, asking, telling, metrics, second, spans, page, nulls)
    finally:
        for each in tasks:
            each.cancel()
        if shadow is not None:
            await shadow.close()
        await model.close()
        knowledge.close()
        await asyncio.to_thread(spans.close, settings.grace_s)
        if log is not None:
            await asyncio.to_thread(log.close, settings.grace_s)
        if snapshots is not None:
            await snapshots.save()


async def _tidying(log: ExposureLog | None, rows: EventRows, state: OpenedState) -> None:
    """Now and then forget whom other processes that share the folder were asked to forget, erase from the log's complete files whom it was
    asked to, and remove those beyond the retention; what a stop leaves undone the next start does."""
    while True:
        try:
            await asyncio.to_thread(state.tend)
            if log is not None:
                await asyncio.to_thread(erase, log.folder, rows)
                await asyncio.to_thread(log.remove_old, now_s=time.time())
        except StateUnavailable as error:
            _LOG.warning("%s", error)
        except Exception as error:  # a file that can't be rewritten now mustn't end it; the wish stays
            _LOG.error("the log's files couldn't be rewritten without those to be forgotten, or removed: %s", type(error).__name__)
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


def _shop_files(places: Places, found: Read, states: StateStores, metrics: Metrics) -> LiveShopFiles:
    def in_force(files: ShopFiles, before: InForce | None) -> InForce:
        sources = before.sources if before is not None and files.sources == before.sources.file else _sources(files.sources, found, states)
        return InForce(ShopRules(files.rules, found.dataset), files.experiments, sources, files.out_of_stock)

    return LiveShopFiles(places, found.dataset, found=found.shop_files, in_force=in_force, taken=metrics.shop_files)


async def _refreshing(shop: LiveShopFiles) -> None:
    """Look at the catalogue's products again from time to time, as far as the sources in force ask for it."""
    while True:
        await asyncio.sleep(REFRESH_S)
        for each in shop.now.sources.watched:
            await each.refresh()


async def _asked_for(places: Places, credentials: grpc.ChannelCredentials | None) -> None:
    """Say at the start, before anybody waits for it, where the model server has no such model."""
    model = ModelClient(places.model_servers, places.model, credentials=credentials)  # whose calls are in no trace
    try:
        versions = await model.versions(timeout_s=FIRST_S)
    except ModelUnavailable as error:
        _LOG.warning("nothing ranks by the model yet: %s", error)
        return
    finally:
        await model.close()
    _LOG.info("the model server has the versions %s ready", ", ".join(map(str, versions)) or "none")


def _sources(sources: Sources, found: Read, states: StateStores) -> CandidateSources:
    dataset, items = found.dataset, found.catalogue.items

    def known(items: list[str], time_us: int) -> Features | None:
        return states.known("", items, time_us).items

    def look(time_us: int) -> Standing:
        return standing(items.ids, known, dataset, popularity_column(dataset), time_us=time_us)

    watched = Watched(look) if stands(sources) else None
    contents = Watched(contents_at(sources, dataset, items)) if compares(sources) else None
    return CandidateSources(sources, dataset, items, watched, contents)
