"""Record events in the log and the state, and acknowledge them only when both have them."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, final

from components.contract.base_model import closest
from components.contract.dataset import Dataset
from components.contract.errors import InputError, LogUnavailable
from components.contract.sources import Impressions
from serving.exposure.erase import request_erasure
from serving.exposure.event_types import Interaction as LoggedInteraction
from serving.exposure.log import EventLog
from serving.exposure.pseudonym import pseudonym, pseudonyms_of
from serving.features.catalogue import SecondIds
from serving.features.events import Changes, ImpressionList, Interaction
from serving.service.settings import Settings
from serving.service.state.state_client import StateClient
from serving.state.tombstones import write_tombstone

STATE_S, CHANGE_S = 1.0, 0.002  # timeout of the state for a call's events, and for each key that they change
LOG_S = 5.0  # timeout of the log's disk


@dataclass(frozen=True)
class ReportedEvent:
    """Hold an event with its features for the log: of the context, and of a list's products as shown; and the
    shopper's arms by experiment.

    `path` is its path in the call's body, such as `interactions.3`, for errors.
    """

    event: ImpressionList | Interaction
    context: Mapping[str, Any] = field(default_factory=dict)
    shown: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    position: int | None = None
    arms: Mapping[str, str] = field(default_factory=dict)
    path: str = ""


@contextmanager
def locate_errors(path: str) -> Iterator[None]:
    """Append the path of the event to InputErrors within the block."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{error} ({path})" if path else str(error)) from None


@final
class EventIntake:
    """Record events, and forget shoppers.

    Args:
        dataset: of the shop.
        settings: of the service.
        state: that the events change.
        changes: turns events into state changes.
        log: that stores them, or None.
        folder: of the log's files, from which shoppers are erased; None without files.
        records: whether events change the state here; else what reads the log's stream does that.
        second_ids: maps ids to the shopper they stand for.
        tombstones: the folder that notes forgotten shoppers; None where the store does so itself.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: Settings,
        *,
        state: StateClient,
        changes: Changes,
        log: EventLog | None,
        second_ids: SecondIds,
        folder: Path | None = None,
        records: bool = True,
        tombstones: Path | None = None,
    ) -> None:
        self._settings, self._state, self._changes, self._log = settings, state, changes, log
        self._second_ids, self._tombstones, self._folder, self._records = second_ids, tombstones, folder, records
        self._underway: set[asyncio.Task[None]] = set()
        self._impression = dataset.candidates.action if isinstance(dataset.candidates, Impressions) else None
        event_features = [feature for feature in dataset.input_features("events") if not feature.from_clock]
        self._context = {feature.name: feature.key for feature in event_features if feature.side != "item"}
        self._shown = {feature.name: feature.key for feature in event_features if feature.side == "item"}

    async def record(self, reported: Sequence[ReportedEvent], *, now_us: int) -> None:
        """Record all of the events, or raise an error.

        The state detects duplicates, so a caller who gets an error may retry all of them. Once begun it completes, even
        if the caller gives up: state and log are to agree.

        Raises:
            InputError: one of them is invalid; then none was recorded.
            StateUnavailable: the state couldn't record them.
            LogUnavailable: the log couldn't.
        """
        if len(reported) > self._settings.most_events:
            raise InputError(f"expected at most {self._settings.most_events:,} events in a call, got {len(reported):,}; send them in parts")
        changes, rows = [], []
        for each in reported:
            with locate_errors(each.path):
                changes.append(self._changes.from_event(each.event, now_us=now_us, context=each.context))
                rows += self._rows(each)
        effective = [change for change in changes if change is not None]
        state_s = STATE_S + CHANGE_S * sum(len(change.users) + len(change.items) for change in effective)
        log = None if self._log is None else partial(self._commit, self._log, rows)
        recording = self._state.record(effective, timeout_s=state_s, log=log) if self._records or log is None else log()
        task = asyncio.create_task(recording)
        self._underway.add(task)
        task.add_done_callback(self._on_done)
        done, _ = await asyncio.wait([task], timeout=state_s + LOG_S)
        if not done:
            raise LogUnavailable(f"the log took longer than {LOG_S:g} s; send the events again later")
        task.result()

    def _on_done(self, task: "asyncio.Task[None]") -> None:
        self._underway.discard(task)
        if not task.cancelled():
            task.exception()  # retrieve it, or asyncio logs it where the caller has gone

    async def settled(self) -> None:
        """Wait until all events under way are recorded or refused."""
        if self._underway:
            await asyncio.wait(set(self._underway))

    @staticmethod
    async def _commit(log: EventLog, rows: Sequence[LoggedInteraction]) -> None:
        await asyncio.wrap_future(log.commit(rows))

    async def forget(self, shopper: str, *, now_us: int) -> None:
        """Forget all that the state holds of a shopper, and have the log erase their lines.

        Whichever of their ids is named, all of them are forgotten: the id itself, the shopper it stands for now, and
        every id that stands for that shopper, or did. What an id did before it stood for anyone is kept under the id.

        Raises:
            StateUnavailable: it may still hold them.
            LogUnavailable: the log's disk couldn't store the request.
        """
        ids = self._second_ids.all_ids(shopper, now_us)
        keys = pseudonyms_of(shopper, self._second_ids, self._settings.salt, now_us=now_us)
        names = list(dict.fromkeys([*ids, *keys]))
        await self._state.forget(names, log_keys=keys, time_us=now_us, timeout_s=STATE_S)
        try:
            await asyncio.to_thread(self._persist, names, keys, now_us)
        except OSError as error:
            raise LogUnavailable(f"the log's disk didn't take the wish to forget: {error}; send it again later") from error

    def _persist(self, names: Sequence[str], keys: Sequence[str], now_us: int) -> None:
        """Store on disk who is forgotten, for later loads of a state and for erasures in the log."""
        for name in names if self._tombstones is not None else ():
            assert self._tombstones is not None
            write_tombstone(self._tombstones, name, now_us=now_us)
        for key in keys if self._folder is not None else ():
            assert self._folder is not None
            request_erasure(self._folder, key, now_us=now_us)

    def _rows(self, reported: ReportedEvent) -> list[LoggedInteraction]:
        event, context = reported.event, _by_column(reported.context, self._context)
        common: dict[str, Any] = {
            "time_us": event.time_us,
            "shopper": pseudonym(event.shopper, self._settings.salt),
            "request": event.request,
            "session": event.session,
            "context": context,
        }
        if isinstance(event, Interaction):
            return [LoggedInteraction(action=event.action, item=event.item, position=reported.position, amounts=event.amounts, **common)]
        values = _by_column(reported.shown, self._shown)
        for name, column in values.items():
            if len(column) != len(event.items):
                raise InputError(f"{name}: expected {len(event.items)} values, one for each product shown, got {len(column)}")
        if self._impression is None:
            return []
        return [
            LoggedInteraction(
                action=self._impression,
                item=item,
                position=event.first_position + index,
                values={key: column[index] for key, column in values.items()},
                arms=reported.arms,
                **common,
            )
            for index, item in enumerate(event.items)
        ]


def _by_column(features: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    if (unknown := next((name for name in features if name not in columns), None)) is not None:  # a name may be empty
        raise InputError(f"{unknown!r} is no feature that the dataset file reads from an event; {closest(unknown, sorted(columns))}")
    return {columns[name]: value for name, value in features.items()}
