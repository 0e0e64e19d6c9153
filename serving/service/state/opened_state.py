"""Open the state at the start (from a snapshot, from ingestion and the log, or in Redis), and take snapshots."""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import final

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from serving.exposure.erase import request_erasure
from serving.exposure.pseudonym import pseudonym
from serving.features.build_tensors import RequestFeatures
from serving.features.catalogue import Catalogue
from serving.service.settings import Locations, Settings
from serving.service.state.log_replay import LogReplay, log_read, since_ingestion, since_snapshot
from serving.service.state.state_client import LocalStateClient, RemoteStateClient, StateClient
from serving.state import snapshot
from serving.state.interface import StateStores, plans_of
from serving.state.memory import MemoryStates
from serving.state.tombstones import Forgotten, read_tombstones

_LOG = logging.getLogger(__name__)
TTL_S = 90 * 24 * 3600  # of what Redis keeps after a shopper's or a product's last event
REDIS_TIMEOUT_S = 0.25
SAVED_EVERY_S = 60.0
SAVING_SHARE = 20  # a snapshot is taken again after as many times as long as it took, at the least


@dataclass(frozen=True)
class OpenedState:
    """Hold the state of a service.

    Attributes:
        states: the store.
        client: of the store.
        memory: the store, where it is in memory.
        tombstones: their folder; None where they can't be kept.
        maintain: to be called periodically: learns whom others have forgotten, and shares this store's values.
    """

    states: StateStores
    client: StateClient
    memory: MemoryStates | None
    tombstones: Path | None
    maintain: Callable[[], None]


def open_state(settings: Settings, locations: Locations, dataset: Dataset, catalogue: Catalogue) -> OpenedState:
    """Open the store, and load its initial state.

    Raises:
        InputError: a saved state can't be read, or is of another dataset file.
        StateUnavailable: there is no Redis to load into.
    """
    return (
        _open_redis(settings, locations, dataset, catalogue) if locations.redis else _open_memory(settings, locations, dataset, catalogue)
    )


@final
class Snapshots:
    """Save the state in memory periodically.

    Args:
        memory: the state.
        locations: of the snapshot and the log.
        settled: waits until what is in the log has changed the state.
    """

    def __init__(self, memory: MemoryStates, locations: Locations, settled: Callable[[], Awaitable[None]]) -> None:
        assert locations.snapshot is not None
        self._memory, self._folder, self._log, self._settled = memory, locations.snapshot, locations.log, settled
        self._saved = -1
        self._saving = threading.Lock()  # a thread goes on when the task that waits for it is cancelled

    async def run(self) -> None:
        """Save periodically, until cancelled."""
        pause_s = SAVED_EVERY_S
        while True:
            await asyncio.sleep(pause_s)
            began_s = time.monotonic()
            try:
                await self.save()
            except OSError as error:  # the last one stays, and the log has later events
                _LOG.warning("no snapshot could be saved in %s: %s; the last one stays", self._folder, error)
            pause_s = max(SAVED_EVERY_S, SAVING_SHARE * (time.monotonic() - began_s))

    async def save(self) -> None:
        """Save unless nothing has changed.

        Raises:
            OSError: the disk is full or fails.
        """
        changes = self._memory.changes
        if changes == self._saved:
            return
        log = {} if self._log is None or not self._log.exists() else await asyncio.to_thread(log_read, self._log)
        await self._settled()  # what the log had then is in the state from here on
        await asyncio.to_thread(self._save, log)
        self._saved = changes

    def _save(self, log: dict[str, tuple[int, int]]) -> None:
        with self._saving:
            snapshot.save(replace(self._memory.snapshot(), log=log), self._folder)


def _open_memory(settings: Settings, locations: Locations, dataset: Dataset, catalogue: Catalogue) -> OpenedState:
    plans, snapshot_folder, log = plans_of(dataset), locations.snapshot, locations.log
    tombstones = log or (None if snapshot_folder is None else snapshot_folder.with_name(f"{snapshot_folder.name}.forgotten"))
    if tombstones is None:
        _LOG.warning("who is forgotten is known again after a restart: there is nowhere to note it; add --log, --snapshot or --redis")
    else:
        tombstones.mkdir(parents=True, exist_ok=True)
    forgotten = Forgotten() if tombstones is None else read_tombstones(tombstones)
    pseudonym_of = None if settings.salt is None else partial(pseudonym, salt=settings.salt)
    ingested_us = snapshot.data_end_us(locations.state)
    if snapshot_folder is not None and snapshot.exists(snapshot_folder) and _is_current(snapshot_folder, ingested_us, locations):
        try:
            saved = snapshot.load(snapshot_folder, plans, catalogue.codes)
        except InputError as error:
            raise InputError(
                f"the snapshot can't be taken up: {error}. Or move {snapshot_folder} away: the state then begins with {locations.state}"
                f"{', and with what the log has of later events' if log else ''}"
            ) from error
        coverage = None if log is None or not log.exists() else since_snapshot(log, saved.log)
    else:
        saved = snapshot.load(locations.state, plans, catalogue.codes)
        coverage = None if log is None or not log.exists() else since_ingestion(log, locations.state, ingested_us)
    memory = MemoryStates(plans, catalogue.codes, saved, forgotten=forgotten, key_of=pseudonym_of)
    if coverage is not None and log is not None:
        counted = LogReplay(dataset, catalogue, pseudonym_of).replay(memory, log, coverage, forgotten)
        if counted:
            _LOG.info("%d events of the log were added to the state", counted)
    client = LocalStateClient(RequestFeatures(dataset, catalogue, memory), memory, buckets=dataset.serving.list_lengths)

    def maintain() -> None:
        if tombstones is not None:
            memory.apply_tombstones(read_tombstones(tombstones))

    return OpenedState(memory, client, memory, tombstones, maintain)


def _is_current(snapshot_folder: Path, ingested_us: int | None, locations: Locations) -> bool:
    """Return whether a snapshot's newest event is no earlier than that of ingestion's state."""
    saved_us = snapshot.data_end_us(snapshot_folder)
    if ingested_us is None or (saved_us is not None and saved_us >= ingested_us):
        return True
    _LOG.info(
        "the state begins with %s, whose data ends at %s, and not with the snapshot, which ends at %s%s",
        locations.state,
        _format_time(ingested_us),
        "no event" if saved_us is None else _format_time(saved_us),
        "" if locations.log else "; without --log nothing that came later is known",
    )
    return False


def _format_time(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat(timespec="seconds")


def _open_redis(settings: Settings, locations: Locations, dataset: Dataset, catalogue: Catalogue) -> OpenedState:
    # Imported only where it is used: the import is slow.
    import redis

    from serving.state.redis import RedisStates, open_client

    plans = plans_of(dataset)
    try:
        connection = open_client(
            locations.redis,
            cluster=locations.redis_cluster,
            password=locations.redis_password,
            timeout_s=REDIS_TIMEOUT_S,
            longest_pause_s=0.1,
        )
    except (redis.RedisError, redis.exceptions.RedisClusterException) as error:
        raise InputError(f"expected a node of a Redis Cluster at --redis, got: {error}; is it up, and in cluster mode?") from error
    # The consumer of a stream knows shoppers by what the stream calls them.
    key_of = partial(pseudonym, salt=settings.salt) if locations.events_to else None
    states = RedisStates(connection, shop=dataset.name, plans=plans, codes=catalogue.codes, ttl_s=TTL_S, key_of=key_of)
    if locations.load:
        forgotten = Forgotten() if locations.log is None or not locations.log.exists() else read_tombstones(locations.log)
        _LOG.info("%d keys were brought into Redis", states.load(locations.state, forgotten=forgotten))
    stranger = RequestFeatures(dataset, catalogue, MemoryStates(plans, catalogue.codes))
    client = RemoteStateClient(RequestFeatures(dataset, catalogue, states), stranger, states, buckets=dataset.serving.list_lengths)
    log, requested = locations.log, dict[str, int]()

    def maintain() -> None:
        states.announce()
        if log is not None:
            for key, time_us in states.asked_of_logs().items():
                if requested.get(key) != time_us:
                    request_erasure(log, key, now_us=time_us)
                    requested[key] = time_us

    return OpenedState(states, client, None, locations.log, maintain)
