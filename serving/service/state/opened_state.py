"""What a service knows at its start: from a snapshot, from ingestion, from the log, or from Redis; and the snapshots it takes."""

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
from serving.exposure.erase import ask_to_forget
from serving.exposure.pseudonym import shopper_key
from serving.features.build_tensors import RequestFeatures
from serving.features.catalogue import Catalogue
from serving.service.settings import Places, Settings
from serving.service.state.log_replay import LogReplay, log_read, since_ingestion, since_snapshot
from serving.service.state.state_client import FarKnowledge, Knowledge, NearKnowledge
from serving.state import snapshot
from serving.state.interface import StateStores, plans_of
from serving.state.memory import MemoryStates
from serving.state.tombstones import Forgotten, read_tombstones

_LOG = logging.getLogger(__name__)
TTL_S = 90 * 24 * 3600  # of what Redis keeps after a shopper's or a product's last event
REDIS_TIMEOUT_S = 0.25
REDIS_RETRIES = 2
SAVED_EVERY_S = 60.0
SAVING_SHARE = 20  # a snapshot is taken again after as many times as long as it took, at the least


@dataclass(frozen=True)
class OpenedState:
    """The state of a service.

    Attributes:
        states: the store.
        knowledge: over it.
        memory: the store, where it is in memory.
        tombstones: their folder; None where there is nowhere to keep them.
        tend: to be called now and then: learns whom others have forgotten, and lets others know of this store's values.
    """

    states: StateStores
    knowledge: Knowledge
    memory: MemoryStates | None
    tombstones: Path | None
    tend: Callable[[], None]


def open_state(settings: Settings, places: Places, dataset: Dataset, catalogue: Catalogue) -> OpenedState:
    """Open the store, and bring into it what is to be known at the start.

    Raises:
        InputError: what is saved can't be read, or was made with another dataset file.
        StateUnavailable: there is no Redis to load into.
    """
    return _in_redis(places, dataset, catalogue) if places.redis else _in_memory(settings, places, dataset, catalogue)


@final
class Snapshots:
    """Saves the state in memory now and then.

    Args:
        memory: what is saved.
        places: where to.
        settled: returns when what is in the log has moved the state.
    """

    def __init__(self, memory: MemoryStates, places: Places, settled: Callable[[], Awaitable[None]]) -> None:
        assert places.snapshot is not None
        self._memory, self._folder, self._log, self._settled = memory, places.snapshot, places.log, settled
        self._saved = -1
        self._saving = threading.Lock()  # a thread goes on when the task that waits for it is cancelled

    async def run(self) -> None:
        """Until it is cancelled."""
        pause_s = SAVED_EVERY_S
        while True:
            await asyncio.sleep(pause_s)
            began_s = time.monotonic()
            try:
                await self.save()
            except OSError as error:  # the last one stays, and the log has what came since
                _LOG.warning("no snapshot could be saved in %s: %s; the last one stays", self._folder, error)
            pause_s = max(SAVED_EVERY_S, SAVING_SHARE * (time.monotonic() - began_s))

    async def save(self) -> None:
        """Save it, unless nothing has changed.

        Raises:
            OSError: the disk doesn't take it.
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


def _in_memory(settings: Settings, places: Places, dataset: Dataset, catalogue: Catalogue) -> OpenedState:
    plans, saved_at, log = plans_of(dataset), places.snapshot, places.log
    tombstones = log or (None if saved_at is None else saved_at.with_name(f"{saved_at.name}.forgotten"))
    if tombstones is None:
        _LOG.warning("who is forgotten is known again after a restart: there is nowhere to note it; add --log, --snapshot or --redis")
    else:
        tombstones.mkdir(parents=True, exist_ok=True)
    forgotten = Forgotten() if tombstones is None else read_tombstones(tombstones)
    key_of = None if settings.salt is None else partial(shopper_key, salt=settings.salt)
    ingested_us = snapshot.data_end_us(places.state)
    if saved_at is not None and snapshot.exists(saved_at) and _is_newer(saved_at, ingested_us, places):
        try:
            saved = snapshot.load(saved_at, plans, catalogue.codes)
        except InputError as error:
            raise InputError(
                f"the snapshot can't be taken up: {error}. Or move {saved_at} away: the state then begins with {places.state}"
                f"{', and with what the log has of later events' if log else ''}"
            ) from error
        since = None if log is None or not log.exists() else since_snapshot(log, saved.log)
    else:
        saved = snapshot.load(places.state, plans, catalogue.codes)
        since = None if log is None or not log.exists() else since_ingestion(log, places.state, ingested_us)
    memory = MemoryStates(plans, catalogue.codes, saved, forgotten=forgotten, key_of=key_of)
    if since is not None and log is not None:
        counted = LogReplay(dataset, catalogue, key_of).into(memory, log, since, forgotten)
        if counted:
            _LOG.info("%d events of the log were added to the state", counted)
    knowledge = NearKnowledge(RequestFeatures(dataset, catalogue, memory), memory, buckets=dataset.serving.list_lengths)

    def tend() -> None:
        if tombstones is not None:
            memory.apply_tombstones(read_tombstones(tombstones))

    return OpenedState(memory, knowledge, memory, tombstones, tend)


def _is_newer(saved_at: Path, ingested_us: int | None, places: Places) -> bool:
    """Whether a snapshot's newest event is no earlier than that of ingestion's state."""
    saved_us = snapshot.data_end_us(saved_at)
    if ingested_us is None or (saved_us is not None and saved_us >= ingested_us):
        return True
    _LOG.info(
        "the state begins with %s, whose data ends at %s, and not with the snapshot, which ends at %s%s",
        places.state,
        _told(ingested_us),
        "no event" if saved_us is None else _told(saved_us),
        "" if places.log else "; without --log nothing that came later is known",
    )
    return False


def _told(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat(timespec="seconds")


def _in_redis(places: Places, dataset: Dataset, catalogue: Catalogue) -> OpenedState:
    # Only who uses it waits for its import.
    import redis
    from redis.backoff import ExponentialWithJitterBackoff
    from redis.retry import Retry

    from serving.state.redis import RedisStates

    plans = plans_of(dataset)
    how = {
        "password": places.redis_password or None,
        "socket_timeout": REDIS_TIMEOUT_S,
        "socket_connect_timeout": REDIS_TIMEOUT_S,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.1), REDIS_RETRIES),
    }
    how = {name: value for name, value in how.items() if value is not None}
    try:
        client = redis.RedisCluster.from_url(places.redis, **how) if places.redis_cluster else redis.Redis.from_url(places.redis, **how)
    except (redis.RedisError, redis.exceptions.RedisClusterException) as error:
        raise InputError(f"expected a node of a Redis Cluster at --redis, got: {error}; is it up, and in cluster mode?") from error
    states = RedisStates(client, shop=dataset.name, plans=plans, codes=catalogue.codes, ttl_s=TTL_S)
    if places.load:
        forgotten = Forgotten() if places.log is None or not places.log.exists() else read_tombstones(places.log)
        _LOG.info("%d keys were brought into Redis", states.load(places.state, forgotten=forgotten))
    stranger = RequestFeatures(dataset, catalogue, MemoryStates(plans, catalogue.codes))
    knowledge = FarKnowledge(RequestFeatures(dataset, catalogue, states), stranger, states, buckets=dataset.serving.list_lengths)
    log, asked = places.log, dict[str, int]()

    def tend() -> None:
        states.announce()
        if log is not None:
            for key, time_us in states.asked_of_logs().items():
                if asked.get(key) != time_us:
                    ask_to_forget(log, key, now_us=time_us)
                    asked[key] = time_us

    return OpenedState(states, knowledge, None, places.log, tend)
