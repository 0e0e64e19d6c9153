"""`shelfrank guard`: watches the canary of a folder of releases, and promotes it or rolls it back."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

from components.contract.dataset import Dataset
from components.contract.errors import InputError, RunError, ShelfRankError
from components.contract.storage.file_lock import locked
from components.contract.storage.labels import CANARY, FILE, STABLE
from components.release.labels import read_labels
from components.release.manifest import read_manifest
from components.release.publish import newest
from pipeline.ops.guard_journal import entry, note
from pipeline.ops.releases import Place, promote, rollback
from serving.guard.decision import Decision, decide
from serving.guard.log_parser import Clicks
from serving.guard.monitor import Monitor, MonitorSettings
from serving.guard.prometheus_metrics import GuardMetrics
from serving.guard.trial_store import TrialState, TrialStore

LEDGER = "guard.sqlite"
TELL_S = 60.0  # between two lines about a trial that goes on
FIRST_RETRY_S, LAST_RETRY_S = 1.0, 60.0
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Post:
    """Where the guard stands.

    Attributes:
        place: releases, and the model server that is brought along.
        duty: what it looks at.
        dataset: of the shop.
        actions: that count as a click; none: those that the model learns from.
        dry_run: it only tells what it would do, and leaves no trace.
    """

    place: Place
    duty: MonitorSettings
    dataset: Dataset
    actions: tuple[str, ...] = ()
    dry_run: bool = False


class Guard:
    """Looks, and acts on what it finds.

    Args:
        post: where.
        ledger: what it remembers.
        say: takes its sentences.
    """

    def __init__(self, post: Post, ledger: TrialStore, say: Say) -> None:
        self._post, self._ledger, self._say = post, ledger, say
        self._sentry = Monitor(post.duty, ledger, Clicks(post.dataset, post.actions))
        self.numbers = GuardMetrics(post.duty.limits)
        self._told_s, self._said = -TELL_S, ""

    def round(self) -> Decision | None:
        """Look once, and act if a verdict is due: "go on" while a trial goes on, None where there is none.

        Raises:
            ShelfRankError: the label can't be moved. The decision isn't forgotten: the next round tries again.
            OSError: the log can't be read.
        """
        canary, stable, since_us = self._labels()
        waiting = None if self._post.dry_run else self._ledger.state()
        if waiting is not None and waiting.outcome is not None and (waiting.trial.canary, waiting.trial.stable) != (canary, stable):
            # Killed between the labels and the journal; or somebody was quicker.
            self._over(waiting, done=canary == stable == _kept(waiting))
        before = self._ledger.state()
        standing = self._sentry.look(canary, stable, since_us=since_us, now_us=time.time_ns() // 1000)
        self.numbers.update(standing)
        if standing is None:
            self._once(f"nothing is on trial: canary is {_named(canary)}, stable {_named(stable)}")
            return None
        name = f"release {standing.trial.canary} against {standing.trial.stable}"
        if before is None or before.trial != standing.trial:
            self._say(f"{name}: the trial begins")
            self._told_s = time.monotonic()
        if standing.outcome is None:
            self._tell(standing, name)
            return "go on"
        self._once(f"{name}: {standing.outcome.decision}: {standing.outcome.reason}")
        if not self._post.dry_run:
            self._act(standing)
        return standing.outcome.decision

    def sum_up(self) -> None:
        """Say how the trial stands, at the end."""
        standing = self._ledger.state()
        if standing is not None and standing.outcome is None:
            self._told_s = -TELL_S
            self._tell(standing, f"release {standing.trial.canary} against {standing.trial.stable}")

    def _labels(self) -> tuple[int | None, int | None, int]:
        """The versions of canary and stable, and when the labels were moved last."""
        releases = self._post.place.folder
        labels = read_labels(releases)
        self.numbers.set_labels({} if labels is None else labels.now)
        if (version := newest(releases)) is not None:
            with suppress(ShelfRankError):  # a manifest that can't be read keeps nobody from guarding
                self.numbers.set_newest_release(version, made_s=read_manifest(releases / str(version)).created_us / 1e6)
        if labels is None:
            return None, None, 0
        return labels.now.get(CANARY), labels.now.get(STABLE), (releases / FILE).stat().st_mtime_ns // 1000

    def _act(self, standing: TrialState) -> None:
        """Move the label, as `shelfrank releases` does, unless somebody moves labels meanwhile."""
        trial = standing.trial
        as_long_as = {CANARY: trial.canary, STABLE: trial.stable}
        self.numbers.set_unmoved(True)
        if standing.outcome is not None and standing.outcome.decision == "promote":
            promote(self._post.place, trial.canary, STABLE, as_long_as=as_long_as)
        else:
            rollback(self._post.place, CANARY, as_long_as=as_long_as)
        self._over(standing, done=True)

    def _over(self, standing: TrialState, *, done: bool) -> None:
        assert standing.outcome is not None
        note(entry(standing, done=done), self._post.place.folder)
        with self._ledger.transaction():
            self._ledger.end()
        self.numbers.set_unmoved(False)
        self.numbers.count_decision(standing.outcome.decision)
        if done:
            self._say(f"release {_kept(standing)} is stable, and nothing is on trial")
        else:
            self._say(f"somebody has moved the labels meanwhile: the decision on release {standing.trial.canary} is dropped")

    def _tell(self, standing: TrialState, name: str) -> None:
        if time.monotonic() - self._told_s >= TELL_S:
            self._told_s = time.monotonic()
            found = decide(standing.test, self._post.duty.limits)
            unreadable = f"; {standing.unreadable:,} lines of the log can't be read" if standing.unreadable else ""
            self._say(f"{name}: {found.decision}: {found.reason}; {self._ledger.waiting():,} requests wait for a click{unreadable}")

    def _once(self, sentence: str) -> None:
        if sentence != self._said:
            self._say(sentence)
        self._said = sentence


def look_once(post: Post, say: Say) -> Decision | None:
    """One round over what there is.

    Raises:
        ShelfRankError: the decision couldn't be carried out; the next time it is tried again.
    """
    with _opened(post) as ledger:
        guard = Guard(post, ledger, say)
        found = guard.round()
        guard.sum_up()
        return found


def watch(post: Post, say: Say, *, every_s: float, metrics: tuple[str, int] | None) -> None:
    """Look every so often, for ever.

    What can't be done now (the model server doesn't answer, the log can't be read) is said and tried again, after 1 s, 2 s, and so on up
    to a minute.
    """
    with _opened(post) as ledger:
        guard = Guard(post, ledger, say)
        if metrics is not None:
            from prometheus_client import start_http_server

            start_http_server(metrics[1], metrics[0], registry=guard.numbers.registry)
        retry_s = FIRST_RETRY_S
        while True:
            try:
                guard.round()
            except (ShelfRankError, OSError) as error:
                say(f"{error}; the next try is in {retry_s:g} s")
                time.sleep(retry_s)
                retry_s = min(2 * retry_s, LAST_RETRY_S)
                continue
            retry_s = FIRST_RETRY_S
            time.sleep(every_s)


@contextmanager
def _opened(post: Post) -> Iterator[TrialStore]:
    """The ledger, for one guard alone; the lock ends with its process."""
    releases = post.place.folder
    for folder in (releases, *post.duty.logs):
        if not folder.is_dir():
            raise InputError(f"{folder}: expected a folder, there is none; --log names that of the service's exposure log")
    if post.dry_run:
        with closing(TrialStore(None)) as ledger:
            yield ledger
        return
    with locked(releases / ".guard.lock", patience_s=0) as is_alone:
        if not is_alone:
            raise RunError(f"{releases}: another guard is at work there; end it first, or look on with --dry-run")
        with closing(TrialStore(releases / LEDGER)) as ledger:
            yield ledger


def _kept(standing: TrialState) -> int:
    assert standing.outcome is not None
    return standing.trial.canary if standing.outcome.decision == "promote" else standing.trial.stable


def _named(version: int | None) -> str:
    return "no release" if version is None else f"release {version}"
