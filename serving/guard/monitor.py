"""Follow the log of a trial as it grows, and decide on the canary."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

from components.contract.errors import InputError
from serving.exposure.log import DECISIONS, INTERACTIONS
from serving.exposure.log_tailer import complete_sizes, read_new_lines
from serving.guard.attribution import Click
from serving.guard.counts import VersionCounts
from serving.guard.decision import decide
from serving.guard.event_windows import complete_until_us, last_ends, new_windows
from serving.guard.log_parser import Clicks, Trial, parse_request
from serving.guard.sequential_test import Limits, stretch_length
from serving.guard.trial_store import Block, TrialState, TrialStore

_SETTLE_LIMIT = 1000


@dataclass(frozen=True, kw_only=True)
class MonitorSettings:
    """Configure the monitor.

    Attributes:
        logs: folders of the exposure logs of all services that use the labels, or folders of such folders.
        event_logs: folders of the event logs of `shelfrank stream`, with the clicks of services that write to a stream.
        click_s: how long after its request a click counts for it.
        gap_s: a request id that recurs later than this after its last use is a new request.
        late_s: delay before a request is settled, for clicks that reach the log late.
        slow_ms: a model call that took longer is slow.
        block: requests of both versions between two looks.
        stretch: requests after which every shopper counts once more; or a tenth of the trial's if greater.
        limits: when to roll back and when to promote.
    """

    logs: Sequence[Path]
    event_logs: Sequence[Path] = ()
    click_s: float = 3600.0
    gap_s: float = 1800.0
    late_s: float = 60.0
    slow_ms: float = 50.0
    block: int = 200
    stretch: int = 10_000
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        for name in ("click_s", "slow_ms", "block", "stretch"):
            if not getattr(self, name) > 0:
                raise InputError(f"the guard's {name} is above 0, got {getattr(self, name)}")
        if self.late_s < 0:
            raise InputError(f"the guard's late_s is at least 0, got {self.late_s}")


@final
class Monitor:
    """Count requests and clicks of a trial from its logs.

    A shopper counts once, by their first request in the trial, for its answer and for a click: their later requests are
    correlated with it. Their first request in each stretch of the trial counts in the tests of that stretch, so that a
    version which begins to fail late is detected all the same (see `sequential_test`).
    """

    def __init__(self, settings: MonitorSettings, store: TrialStore, clicks: Clicks) -> None:
        self._settings, self._store, self._clicks = settings, store, clicks
        self._gap_us, self._window_us = int(settings.gap_s * 1e6), int(settings.click_s * 1e6)

    def look(self, canary: int | None, stable: int | None, *, since_us: int, now_us: int) -> TrialState | None:
        """Read new lines and return the state of the trial; None without one. A decided trial stays as it is.

        Args:
            canary: the version that has this label now.
            stable: likewise.
            since_us: start of a new trial; an ongoing trial keeps its own.
            now_us: the current time.

        Raises:
            OSError: the log can't be read, or the store written.
        """
        state = self._store.state()
        if canary is None or stable is None or canary == stable:
            with self._store.transaction():
                self._store.end()
                for skipped in (
                    complete_sizes(self._settings.logs, DECISIONS),
                    complete_sizes(self._settings.logs, INTERACTIONS),
                    last_ends(self._settings.event_logs),
                ):
                    self._store.save_offsets(skipped)
            return None
        if state is None or (state.trial.canary, state.trial.stable) != (canary, stable):
            with self._store.transaction():
                state = self._store.begin(Trial(canary, stable, since_us))
        if state.outcome is not None:
            return state
        state = self._read_decisions(state, now_us)
        # Before the clicks are read: a window that is published meanwhile is read by the next look.
        complete_us = self._clicks_complete_until_us(now_us)
        state = self._read_clicks(state)
        return self._settle_requests(state, now_us, complete_us=complete_us)

    def _read_decisions(self, state: TrialState, now_us: int) -> TrialState:
        for chunk in read_new_lines(self._settings.logs, DECISIONS, self._store.offsets()):
            with self._store.transaction():
                for line in chunk.lines:
                    state = self._add_decision(state, line, now_us)
                    if state.outcome is not None:
                        break
                self._store.save_offsets({chunk.file: chunk.end})
                self._store.save(state)
            if state.outcome is not None:
                break
        return state

    def _add_decision(self, state: TrialState, line: bytes, now_us: int) -> TrialState:
        try:
            request = parse_request(line, state.trial, slow_ms=self._settings.slow_ms)
        except ValueError:
            return replace(state, unreadable=state.unreadable + 1)
        if request is None:
            return state
        request = replace(request, shopper=_pseudonym(request.shopper, state.trial))
        state = self._count_in_stretch(state, now_us)
        if state.outcome is not None:
            return state
        new, new_in_stretch = self._store.count_shopper(request.shopper, state.test.stretch.number)
        self._store.add_request(request, first=new, gap_us=self._gap_us)
        if new:
            state = replace(state, answered=state.answered.plus(request.side, request.counts))
        if new_in_stretch:
            state = replace(state, stretch_block=state.stretch_block.plus(request.side, request.counts))
        return self._test_complete_blocks(state, now_us)

    def _count_in_stretch(self, state: TrialState, now_us: int) -> TrialState:
        """Count a request in its stretch; a new stretch begins with a test of what the last one left of a block."""
        if state.stretch_left:
            return replace(state, requests=state.requests + 1, stretch_left=state.stretch_left - 1)
        length = stretch_length(state.requests, self._settings.stretch)
        if state.requests:
            state = self._test_blocks(state, [], state.stretch_block, now_us)
            state = replace(state, stretch_block=Block(), test=state.test.next_stretch())
        return replace(state, requests=state.requests + 1, stretch_left=length - 1)

    def _clicks_complete_until_us(self, now_us: int) -> int:
        """Return up to when clicks have come: now, or where event logs lag behind, what they hold."""
        logs = self._settings.event_logs
        return min(now_us, complete_until_us(logs, self._clicks.time)) if logs else now_us

    def _read_clicks(self, state: TrialState) -> TrialState:
        for chunk in read_new_lines(self._settings.logs, INTERACTIONS, self._store.offsets()):
            state = self._add_clicks(state, *self._clicks.parse(chunk.lines), offsets={chunk.file: chunk.end})
        for window in new_windows(self._settings.event_logs, self._store.offsets()):
            state = self._add_clicks(state, *self._clicks.read(window.path), offsets={window.series: window.end})
        return state

    def _add_clicks(self, state: TrialState, clicks: Sequence[Click], unreadable: int, *, offsets: Mapping[str, int]) -> TrialState:
        state = replace(state, unreadable=state.unreadable + unreadable)
        with self._store.transaction():
            self._store.add_clicks([replace(click, shopper=_pseudonym(click.shopper, state.trial)) for click in clicks])
            self._store.save_offsets(offsets)
            self._store.save(state)
        return state

    def _settle_requests(self, state: TrialState, now_us: int, *, complete_us: int) -> TrialState:
        until_us = complete_us - self._window_us - int(self._settings.late_s * 1e6)
        while state.outcome is None:
            with self._store.transaction():
                settled = self._store.settle(until_us, _SETTLE_LIMIT, window_us=self._window_us, gap_us=self._gap_us)
                for side, clicked in settled:
                    block = state.settled.plus(side, VersionCounts.from_counts(settled=1, clicked=int(clicked)))
                    state = self._test_complete_blocks(replace(state, settled=block), now_us)
                    if state.outcome is not None:
                        break
                self._store.prune(until_us - self._window_us - self._gap_us)
                self._store.save(state)
            if len(settled) < _SETTLE_LIMIT:
                break
        return state

    def _test_complete_blocks(self, state: TrialState, now_us: int) -> TrialState:
        """Test the blocks that are complete."""
        complete = {
            name: block for name in ("answered", "stretch_block", "settled") if (block := getattr(state, name)).size >= self._settings.block
        }
        if not complete:
            return state
        emptied: dict[str, Any] = dict.fromkeys(complete, Block())
        stretch_block = complete.pop("stretch_block", None)
        return self._test_blocks(replace(state, **emptied), list(complete.values()), stretch_block, now_us)

    def _test_blocks(self, state: TrialState, new: Sequence[Block], stretch_block: Block | None, now_us: int) -> TrialState:
        """Update the test with blocks of shoppers new in the trial, and one of those new in the stretch; decide."""
        test = state.test
        for block in new:
            test = test.add_block(block.canary, block.stable, self._settings.limits)
        if stretch_block is not None:
            test = test.add_stretch_block(stretch_block.canary, stretch_block.stable)
        outcome = decide(test, self._settings.limits)
        state = replace(state, test=test)
        return state if outcome.decision == "go on" else replace(state, outcome=outcome, ended_us=now_us)


def _pseudonym(shopper: str, trial: Trial) -> str:
    """Return a shopper's pseudonym, different in each trial: it identifies nobody who is to be forgotten."""
    key = f"{trial.canary} {trial.stable} {trial.since_us}".encode()
    return shopper and hashlib.blake2b(shopper.encode(), digest_size=12, key=key).hexdigest()
