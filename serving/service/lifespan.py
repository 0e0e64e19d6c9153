"""Open a service from its settings and files, run its background tasks, and close it."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
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
from serving.exposure.log import EventLog, ExposureLog, LogSettings
from serving.exposure.pseudonym import pseudonym
from serving.exposure.serialization import EventRows
from serving.features.catalogue import Catalogue, load_catalogue
from serving.features.events import Changes
from serving.service.metrics.metrics import Metrics
from serving.service.metrics.model_metrics import ModelMetrics
from serving.service.page.page import Page, PageChoices, read_values
from serving.service.page.shoppers import known_shoppers, sample_shoppers
from serving.service.ranking.explain import Explainer
from serving.service.ranking.fallback_chain import FallbackChain
from serving.service.ranking.ranking import Ranking, RankingBackends
from serving.service.ranking.shadow import Shadow
from serving.service.ranking.shop_files import ActiveShopFiles, LiveShopFiles, ShopFiles, read_shop_files
from serving.service.ranking.shop_rules import ShopRules
from serving.service.rate_limit import RateLimiter
from serving.service.service_context import ServiceContext
from serving.service.settings import Locations, Settings
from serving.service.state.empty_state import EmptyState
from serving.service.state.event_intake import EventIntake
from serving.service.state.null_ids import NullIds
from serving.service.state.opened_state import OpenedState, Snapshots, open_state
from serving.service.tls import to_model_server
from serving.service.tracing.tracing import Tracing, open_tracing
from serving.sources.candidates import CandidateSources, compares, stands
from serving.sources.contents import contents_at
from serving.sources.file import Sources
from serving.sources.popularity_ranking import REFRESH_S, Standing, Watched, standing
from serving.state.interface import StateStores
from serving.state.tombstones import Forgotten, read_tombstones
from serving.stream.producers.event_stream import EventStream
from serving.stream.producers.open_producer import open_producer

_LOG = logging.getLogger(__name__)
FIRST_S = 10.0  # timeout of the first question to the model server
ERASING_EVERY_S = 60.0  # between erasures and removals in the log


@dataclass(frozen=True)
class LoadedFiles:
    """Hold what is read from files before the first request."""

    dataset: Dataset
    shop_files: ShopFiles
    catalogue: Catalogue
    page_values: dict[str, list[str]] = field(default_factory=dict)


def load_files(locations: Locations) -> LoadedFiles:
    """Read and check the files.

    Raises:
        ShelfRankError: one of them is missing or invalid.
    """
    dataset = load_dataset(locations.dataset)
    shop_files = read_shop_files(locations, dataset)
    values = {} if locations.page_values is None else read_values(locations.page_values, dataset)
    return LoadedFiles(dataset, shop_files, load_catalogue(locations.state, dataset), values)


@asynccontextmanager
async def open_service(settings: Settings, locations: Locations, files: LoadedFiles) -> AsyncIterator[ServiceContext]:
    """Run a service. At the end complete the log, then save the state if a snapshot is configured."""
    # What the model is trained on, and may have for its table of users, are the log's names of shoppers.
    files = replace(files, catalogue=files.catalogue.with_pseudonyms(partial(pseudonym, salt=settings.salt)))
    state = await asyncio.to_thread(open_state, settings, locations, files.dataset, files.catalogue)
    empty = EmptyState(state.states, files.dataset, known_shoppers(locations.state) if locations.redis else [])
    logs = await asyncio.to_thread(_open_logs, settings, locations, files.dataset)
    service = await _service(settings, locations, files, state=state, log=logs.events, empty=empty)
    settled = service.intake.settled
    snapshots = None if state.memory is None or locations.snapshot is None else Snapshots(state.memory, locations, settled)
    background = [
        _maintain_log(logs.files, EventRows(files.dataset), state),
        service.shop_files.watch(),
        _refresh_sources(service.shop_files),
        _log_model_versions(locations),
        empty.watch(),
        *([] if snapshots is None else [snapshots.run()]),
    ]
    tasks = [asyncio.create_task(each) for each in background]
    try:
        yield service
    finally:
        for task in tasks:
            task.cancel()
        if service.shadow is not None:
            await service.shadow.close()
        await service.model.close()
        service.state.close()
        await asyncio.to_thread(service.tracing.close, settings.grace_s)
        if service.log is not None:
            await asyncio.to_thread(service.log.close, settings.grace_s)
        if snapshots is not None:
            await snapshots.save()


@dataclass(frozen=True)
class _Logs:
    """What takes events, and the files of the log, of which it may be made; None where there is none."""

    events: EventLog | None
    files: ExposureLog | None


def _open_logs(settings: Settings, locations: Locations, dataset: Dataset) -> _Logs:
    producer = open_producer(locations.events_to, redis_password=locations.redis_password) if locations.events_to else None
    log_settings = None if locations.log is None else LogSettings(locations.log, events=producer is None, retention=settings.retention)
    files = None if log_settings is None else ExposureLog(dataset, log_settings)
    return _Logs(files if producer is None else EventStream(dataset, producer, decisions=files), files)


async def _service(
    settings: Settings, locations: Locations, files: LoadedFiles, *, state: OpenedState, log: EventLog | None, empty: EmptyState
) -> ServiceContext:
    dataset, catalogue = files.dataset, files.catalogue
    tracing = open_tracing()
    model = _model(settings, locations, tracing)
    metrics = Metrics(deadline_s=settings.deadline_ms / 1e3)
    metrics.registry.register(ModelMetrics(model))
    shop_files = await asyncio.to_thread(_live_shop_files, locations, files, state.states, metrics)
    shadow = _shadow(settings, locations, metrics, log)
    changes = Changes(dataset, catalogue, pseudonym_of=partial(pseudonym, salt=settings.salt))
    backends = RankingBackends(
        state=state.client,
        fallback_chain=FallbackChain(model, popular=popularity_column(dataset), capacity=settings.most_at_once),
        shop=shop_files,
        changes=changes,
        log=log,
        records=not locations.events_to,
        shadow=shadow,
        tracing=tracing,
    )
    ranking = Ranking(dataset, settings, backends)
    return ServiceContext(
        ranking=ranking,
        explainer=Explainer(dataset, settings, ranking=ranking, state=state.client, model=model),
        intake=EventIntake(
            dataset,
            settings,
            state=state.client,
            changes=changes,
            log=log,
            second_ids=catalogue.second_ids,
            folder=locations.log,
            records=not locations.events_to,
            tombstones=state.tombstones,
        ),
        model=model,
        shadow=shadow,
        state=state.client,
        log=log,
        shop_files=shop_files,
        page=_page(settings, locations, files, state=state, model=model) if settings.page else None,
        second_ids=catalogue.second_ids,
        null_ids=NullIds.from_dataset(dataset),
        metrics=metrics,
        tracing=tracing,
        read_limit=RateLimiter(settings.asks_per_s),
        write_limit=RateLimiter(settings.tells_per_s),
        failing=lambda: [*model.failing(), *shop_files.failing(), *empty.failing()],
    )


def _model(settings: Settings, locations: Locations, tracing: Tracing) -> ModelClient:
    model = ModelClient(
        locations.model_servers,
        locations.model,
        hedging=HedgeSettings(share=settings.hedged_share),
        reuse_s=settings.reuse_ms / 1e3,
        credentials=_credentials(locations),
        interceptors=tracing.model_interceptors(),
    )
    model.connect()
    return model


def _credentials(locations: Locations) -> grpc.ChannelCredentials | None:
    return to_model_server(locations.model_server_ca) if locations.model_server_tls else None


async def _maintain_log(log: ExposureLog | None, rows: EventRows, state: OpenedState) -> None:
    """Apply requests to forget shoppers, and the log's retention, every minute."""
    while True:
        try:
            await asyncio.to_thread(state.maintain)
            if log is not None:
                await asyncio.to_thread(erase, log.folder, rows)
                await asyncio.to_thread(log.remove_old, now_s=time.time())
        except StateUnavailable as error:
            _LOG.warning("%s", error)
        except Exception as error:  # a file that can't be rewritten now mustn't end it; the requests stay
            _LOG.error("the log's files couldn't be rewritten without those to be forgotten, or removed: %s", type(error).__name__)
        await asyncio.sleep(ERASING_EVERY_S)


def _shadow(settings: Settings, locations: Locations, metrics: Metrics, log: EventLog | None) -> Shadow | None:
    if not settings.shadow:
        return None
    model = ModelClient(locations.model_servers, locations.model, hedging=HedgeSettings(share=0.0), credentials=_credentials(locations))
    return Shadow(model, label=settings.shadow, share=settings.shadow_share, registry=metrics.registry, log=log)


def _page(settings: Settings, locations: Locations, files: LoadedFiles, *, state: OpenedState, model: ModelClient) -> Page:
    forgotten = Forgotten() if state.tombstones is None else read_tombstones(state.tombstones)
    shoppers = [shopper for shopper in sample_shoppers(locations.state, files.catalogue.users) if shopper not in forgotten]
    choices = PageChoices(shoppers=shoppers, values=files.page_values, label=settings.label, needs_token=bool(settings.token))
    return Page(files.dataset, files.catalogue, state=state.client, model=model, choices=choices)


def _live_shop_files(locations: Locations, files: LoadedFiles, states: StateStores, metrics: Metrics) -> LiveShopFiles:
    def activate(shop_files: ShopFiles, active: ActiveShopFiles | None) -> ActiveShopFiles:
        unchanged = active is not None and shop_files.sources == active.sources.file
        sources = active.sources if active is not None and unchanged else _sources(shop_files.sources, files, states)
        rules = ShopRules(shop_files.rules, files.dataset)
        return ActiveShopFiles(rules, shop_files.experiments, sources, shop_files.out_of_stock)

    return LiveShopFiles(locations, files.dataset, loaded=files.shop_files, activate=activate, on_change=metrics.count_shop_files)


async def _refresh_sources(shop: LiveShopFiles) -> None:
    """Refresh the item rankings and contents that the active sources use, periodically."""
    while True:
        await asyncio.sleep(REFRESH_S)
        for each in shop.now.sources.watched:
            await each.refresh()


async def _log_model_versions(locations: Locations) -> None:
    """Log at the start which versions the model server has, or that it lacks the model."""
    model = ModelClient(locations.model_servers, locations.model, credentials=_credentials(locations))  # whose calls are in no trace
    try:
        versions = await model.versions(timeout_s=FIRST_S)
    except ModelUnavailable as error:
        _LOG.warning("nothing ranks by the model yet: %s", error)
        return
    finally:
        await model.close()
    _LOG.info("the model server has the versions %s ready", ", ".join(map(str, versions)) or "none")


def _sources(sources: Sources, files: LoadedFiles, states: StateStores) -> CandidateSources:
    dataset, items = files.dataset, files.catalogue.items

    def known(ids: list[str], time_us: int) -> Features | None:
        return states.known("", ids, time_us).items

    def rank(time_us: int) -> Standing:
        return standing(items.ids, known, dataset, popularity_column(dataset), time_us=time_us)

    popularity = Watched(rank) if stands(sources) else None
    contents = Watched(contents_at(sources, dataset, items)) if compares(sources) else None
    return CandidateSources(sources, dataset, items, popularity, contents)
