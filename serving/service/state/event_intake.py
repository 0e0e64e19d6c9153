"""What shoppers saw and did: into the log and the state, and acknowledged only when both have it."""

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
from serving.exposure.event_types import Interaction as Logged
from serving.exposure.log import ExposureLog
from serving.exposure.pseudonym import pseudonym, pseudonyms_of
from serving.features.catalogue import SecondIds
from serving.features.events import Changes, ImpressionList, Interaction
from serving.service.settings import Settings
from serving.service.state.state_client import Knowledge
from serving.state.tombstones import write_tombstone

STATE_S, CHANGE_S = 1.0, 0.002  # how long the state may take to take in a call's events, and how much longer for each key they change
LOG_S = 5.0  # and the log's disk


@dataclass(frozen=True)
class Reported:
    """An event with what the log keeps beside it: features of the context, and of a list each product's as shown, by feature name.

    `path` is where it stands in its call, such as `interactions.3`, for errors.
    """

    event: ImpressionList | Interaction
    context: Mapping[str, Any] = field(default_factory=dict)
    shown: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    position: int | None = None
    path: str = ""


@contextmanager
def located(path: str) -> Iterator[None]:
    """Within the block an InputError ends with the path of the event that it is about."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{error} ({path})" if path else str(error)) from None


@final
class Intake:
    """Takes events in.

    Args:
        dataset: of the shop.
        settings: of the service.
        knowledge: which the events move.
        changes: how they do.
        log: that keeps them, or None.
        second_ids: whose an id is.
        tombstones: the folder where the forgotten are noted; None where their store does so itself.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: Settings,
        *,
        knowledge: Knowledge,
        changes: Changes,
        log: ExposureLog | None,
        second_ids: SecondIds,
        tombstones: Path | None = None,
    ) -> None:
        self._settings, self._knowledge, self._changes, self._log = settings, knowledge, changes, log
        self._second_ids, self._tombstones = second_ids, tombstones
        self._underway: set[asyncio.Task[None]] = set()
        self._impression = dataset.candidates.action if isinstance(dataset.candidates, Impressions) else None
        given = [feature for feature in dataset.given("events") if not feature.key.startswith("time.")]
        self._context = {feature.name: feature.key for feature in given if feature.side != "item"}
        self._shown = {feature.name: feature.key for feature in given if feature.side == "item"}

    async def take(self, reported: Sequence[Reported], *, now_us: int) -> None:
        """All of the events, or an error.

        The state knows a repetition, and so whoever gets an error may send all of them again. What has begun goes on to its end, though who
        sent it may have given up: state and log are to agree.

        Raises:
            InputError: one of them is wrong; then none of them was taken.
            StateUnavailable: the state couldn't take them.
            LogUnavailable: the log couldn't.
        """
        if len(reported) > self._settings.most_events:
            raise InputError(f"expected at most {self._settings.most_events:,} events in a call, got {len(reported):,}; send them in parts")
        changes, rows = [], []
        for each in reported:
            with located(each.path):
                changes.append(self._changes.from_event(each.event, now_us=now_us, context=each.context))
                rows += self._rows(each)
        counting = [change for change in changes if change is not None]
        state_s = STATE_S + CHANGE_S * sum(len(change.users) + len(change.items) for change in counting)
        log = None if self._log is None else partial(self._logged, self._log, rows)
        task = asyncio.create_task(self._knowledge.record(counting, timeout_s=state_s, log=log))
        self._underway.add(task)
        task.add_done_callback(self._ended)
        done, _ = await asyncio.wait([task], timeout=state_s + LOG_S)
        if not done:
            raise LogUnavailable(f"the log's disk took longer than {LOG_S:g} s; send the events again later")
        task.result()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._underway.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it is told; where nobody does any more it is no news

    async def settled(self) -> None:
        """Return when all events that are being taken in are taken in or refused."""
        if self._underway:
            await asyncio.wait(set(self._underway))

    @staticmethod
    async def _logged(log: ExposureLog, rows: Sequence[Logged]) -> None:
        await asyncio.wrap_future(log.commit(rows))

    async def forget(self, shopper: str, *, now_us: int) -> None:
        """Let go of all that the state knows of a shopper, and have the log erase what its files hold of them.

        Whichever of their ids is named, all of them are forgotten: the id itself, the shopper it stands for now, and every id that stands
        for that shopper, or did. What an id did before it stood for anyone is kept under the id.

        Raises:
            StateUnavailable: it may know them still.
            LogUnavailable: the log's disk didn't take the wish.
        """
        ids = self._second_ids.all_ids(shopper, now_us)
        keys = pseudonyms_of(shopper, self._second_ids, self._settings.salt, now_us=now_us)
        names = list(dict.fromkeys([*ids, *keys]))
        await self._knowledge.forget(names, log_keys=keys, time_us=now_us, timeout_s=STATE_S)
        try:
            await asyncio.to_thread(self._noted, names, keys, now_us)
        except OSError as error:
            raise LogUnavailable(f"the log's disk didn't take the wish to forget: {error}; send it again later") from error

    def _noted(self, names: Sequence[str], keys: Sequence[str], now_us: int) -> None:
        """Have the disk know who is forgotten: what loads a state, and what erases the log's lines."""
        for name in names if self._tombstones is not None else ():
            assert self._tombstones is not None
            write_tombstone(self._tombstones, name, now_us=now_us)
        for key in keys if self._log is not None else ():
            assert self._log is not None
            request_erasure(self._log.folder, key, now_us=now_us)

    def _rows(self, reported: Reported) -> list[Logged]:
        event, context = reported.event, _by_column(reported.context, self._context)
        who: dict[str, Any] = {
            "time_us": event.time_us,
            "shopper": pseudonym(event.shopper, self._settings.salt),
            "request": event.request,
            "session": event.session,
            "context": context,
        }
        if isinstance(event, Interaction):
            return [Logged(action=event.action, item=event.item, position=reported.position, amounts=event.amounts, **who)]
        values = _by_column(reported.shown, self._shown)
        for name, given in values.items():
            if len(given) != len(event.items):
                raise InputError(f"{name}: expected {len(event.items)} values, one for each product shown, got {len(given)}")
        if self._impression is None:
            return []
        return [
            Logged(
                action=self._impression,
                item=item,
                position=event.first_position + at,
                values={key: given[at] for key, given in values.items()},
                **who,
            )
            for at, item in enumerate(event.items)
        ]


def _by_column(given: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    if (unknown := next((name for name in given if name not in columns), None)) is not None:  # a name may be empty
        raise InputError(f"{unknown!r} is no feature that the dataset file reads from an event; {closest(unknown, sorted(columns))}")
    return {columns[name]: value for name, value in given.items()}
