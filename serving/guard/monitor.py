"""Reads the log of a trial as it grows, and finds its verdict."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

from components.contract.errors import InputError
from serving.exposure.log import DECISIONS, INTERACTIONS
from serving.exposure.log_tailer import complete_sizes, read_new_lines
from serving.guard.counts import Tally
from serving.guard.decision import verdict
from serving.guard.log_parser import Clicks, Trial, request_of
from serving.guard.sequential_test import Limits, stretch_length
from serving.guard.trial_store import Block, Ledger, Standing

_SETTLED_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True)
class Duty:
    """What the guard looks at.

    Attributes:
        logs: folders of the exposure logs of all services that ask the labels, or folders of such folders.
        click_s: how long after its request a click counts for it.
        gap_s: an id that comes again later than this after it came last is another request's.
        late_s: so much later a request is settled, for clicks that come late into the log.
        slow_ms: an answer of the model that took longer is slow.
        block: requests of both versions together, between two looks.
        stretch: requests after which every shopper counts once more; later a tenth of the trial's so far, where that is more.
        limits: when to roll back and when to promote.
    """

    logs: Sequence[Path]
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
class Sentry:
    """Keeps a ledger of a log.

    A shopper counts once, by his first request in the trial, for his answer and for a click: what he meets again resembles what he met,
    and is no news. His first request in each stretch of the trial counts in the tests of that stretch, so that a version that begins to
    fail late is found all the same (`watch`).
    """

    def __init__(self, duty: Duty, ledger: Ledger, clicks: Clicks) -> None:
        self._duty, self._ledger, self._clicks = duty, ledger, clicks
        self._gap_us, self._window_us = int(duty.gap_s * 1e6), int(duty.click_s * 1e6)

    def look(self, canary: int | None, stable: int | None, *, since_us: int, now_us: int) -> Standing | None:
        """Read what is new, and say how the trial stands; None where nothing is on trial. A trial that has its verdict is left as it is.

        Args:
            canary: the version that has this label now.
            stable: likewise.
            since_us: since when that may be so; a trial that is going on began when it did.
            now_us: the moment.

        Raises:
            OSError: the log can't be read, or the ledger written.
        """
        standing = self._ledger.standing()
        if canary is None or stable is None or canary == stable:
            with self._ledger.together():
                self._ledger.end()
                self._ledger.have_read({**complete_sizes(self._duty.logs, DECISIONS), **complete_sizes(self._duty.logs, INTERACTIONS)})
            return None
        if standing is None or (standing.trial.canary, standing.trial.stable) != (canary, stable):
            with self._ledger.together():
                standing = self._ledger.begin(Trial(canary, stable, since_us))
        if standing.found is not None:
            return standing
        standing = self._answered(standing, now_us)
        self._clicked(standing.trial)
        return self._settled(standing, now_us)

    def _answered(self, standing: Standing, now_us: int) -> Standing:
        for chunk in read_new_lines(self._duty.logs, DECISIONS, self._ledger.read()):
            with self._ledger.together():
                for line in chunk.lines:
                    standing = self._one_answered(standing, line, now_us)
                    if standing.found is not None:
                        break
                self._ledger.have_read({chunk.file: chunk.end})
                self._ledger.keep(standing)
            if standing.found is not None:
                break
        return standing

    def _one_answered(self, standing: Standing, line: bytes, now_us: int) -> Standing:
        try:
            request = request_of(line, standing.trial, slow_ms=self._duty.slow_ms)
        except ValueError:
            return replace(standing, unreadable=standing.unreadable + 1)
        if request is None:
            return standing
        request = replace(request, shopper=_nameless(request.shopper, standing.trial))
        standing = self._in_stretch(standing, now_us)
        if standing.found is not None:
            return standing
        new, new_in_stretch = self._ledger.count(request.shopper, standing.watch.stretch.number)
        self._ledger.wait_for(request, first=new, gap_us=self._gap_us)
        if new:
            standing = replace(standing, answered=standing.answered.plus(request.side, request.counts))
        if new_in_stretch:
            standing = replace(standing, again=standing.again.plus(request.side, request.counts))
        return self._seen(standing, now_us)

    def _in_stretch(self, standing: Standing, now_us: int) -> Standing:
        """With a request more, in the stretch that it falls into; what the last one has left of a block is looked at before."""
        if standing.stretch_left:
            return replace(standing, requests=standing.requests + 1, stretch_left=standing.stretch_left - 1)
        length = stretch_length(standing.requests, self._duty.stretch)
        if standing.requests:
            standing = self._looked(standing, [], standing.again, now_us)
            standing = replace(standing, again=Block(), watch=standing.watch.next_stretch())
        return replace(standing, requests=standing.requests + 1, stretch_left=length - 1)

    def _clicked(self, trial: Trial) -> None:
        for chunk in read_new_lines(self._duty.logs, INTERACTIONS, self._ledger.read()):
            clicks, _ = self._clicks.parse(chunk.lines)
            with self._ledger.together():
                self._ledger.clicked([replace(click, shopper=_nameless(click.shopper, trial)) for click in clicks])
                self._ledger.have_read({chunk.file: chunk.end})

    def _settled(self, standing: Standing, now_us: int) -> Standing:
        until_us = now_us - self._window_us - int(self._duty.late_s * 1e6)
        while standing.found is None:
            with self._ledger.together():
                settled = self._ledger.settle(until_us, _SETTLED_AT_ONCE, window_us=self._window_us, gap_us=self._gap_us)
                for side, clicked in settled:
                    block = standing.settled.plus(side, Tally.from_counts(settled=1, clicked=int(clicked)))
                    standing = self._seen(replace(standing, settled=block), now_us)
                    if standing.found is not None:
                        break
                self._ledger.forget(until_us - self._window_us - self._gap_us)
                self._ledger.keep(standing)
            if len(settled) < _SETTLED_AT_ONCE:
                break
        return standing

    def _seen(self, standing: Standing, now_us: int) -> Standing:
        """After a look, where a block is complete."""
        complete = {name: block for name in ("answered", "again", "settled") if (block := getattr(standing, name)).size >= self._duty.block}
        if not complete:
            return standing
        emptied: dict[str, Any] = dict.fromkeys(complete, Block())
        again = complete.pop("again", None)
        return self._looked(replace(standing, **emptied), list(complete.values()), again, now_us)

    def _looked(self, standing: Standing, new: Sequence[Block], again: Block | None, now_us: int) -> Standing:
        """With the verdict after blocks of shoppers who are new in the trial, and one of shoppers who are new in the stretch."""
        watch = standing.watch
        for block in new:
            watch = watch.then(block.canary, block.stable, self._duty.limits)
        if again is not None:
            watch = watch.then_again(again.canary, again.stable)
        found = verdict(watch, self._duty.limits)
        standing = replace(standing, watch=watch)
        return standing if found.decision == "go on" else replace(standing, found=found, found_us=now_us)


def _nameless(shopper: str, trial: Trial) -> str:
    """What the ledger calls a shopper, in one trial alone: it is to tell him from others, and names nobody who is to be forgotten."""
    key = f"{trial.canary} {trial.stable} {trial.since_us}".encode()
    return shopper and hashlib.blake2b(shopper.encode(), digest_size=12, key=key).hexdigest()
