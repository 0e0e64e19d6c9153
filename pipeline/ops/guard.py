"""Watch the canary of a folder of releases, and promote it or roll it back: `shelfrank guard`."""

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
from pipeline.ops.guard_journal import append_entry, new_entry
from pipeline.ops.releases import Deployment, promote, rollback
from serving.guard.decision import Decision, decide
from serving.guard.log_parser import Clicks
from serving.guard.monitor import Monitor, MonitorSettings
from serving.guard.prometheus_metrics import GuardMetrics
from serving.guard.trial_store import TrialState, TrialStore

LEDGER = "guard.sqlite"
REPORT_EVERY_S = 60.0  # between two progress lines about a trial
FIRST_RETRY_S, LAST_RETRY_S = 1.0, 60.0
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class GuardConfig:
    """Configuration of a guard.

    Attributes:
        deployment: the releases, and the model server whose labels move with them.
        duty: which logs to read, and how to count.
        dataset: of the shop.
        actions: those that count as a click; empty: those that the model is trained on.
        dry_run: only report decisions; change no label and no file.
    """

    deployment: Deployment
    duty: MonitorSettings
    dataset: Dataset
    actions: tuple[str, ...] = ()
    dry_run: bool = False


class Guard:
    """Polls the logs, and moves labels when a trial is decided.

    Args:
        config: of the guard.
        ledger: the trial's persistent state.
        say: called with each message.
    """

    def __init__(self, config: GuardConfig, ledger: TrialStore, say: Say) -> None:
        self._config, self._ledger, self._say = config, ledger, say
        self._sentry = Monitor(config.duty, ledger, Clicks(config.dataset, config.actions))
        self.numbers = GuardMetrics(config.duty.limits)
        self._reported_s, self._said = -REPORT_EVERY_S, ""

    def poll(self) -> Decision | None:
        """Read the logs once, act if the trial is decided, and return the decision; None where nothing is on trial.

        Raises:
            ShelfRankError: the label can't be moved. The decision is kept: the next call tries again.
            OSError: the log can't be read.
        """
        canary, stable, since_us = self._labelled_versions()
        waiting = None if self._config.dry_run else self._ledger.state()
        if waiting is not None and waiting.outcome is not None and (waiting.trial.canary, waiting.trial.stable) != (canary, stable):
            # A kill came between the labels and the journal, or another process has moved the labels.
            self._close_trial(waiting, done=canary == stable == _stable_afterwards(waiting))
        before = self._ledger.state()
        standing = self._sentry.look(canary, stable, since_us=since_us, now_us=time.time_ns() // 1000)
        self.numbers.update(standing)
        if standing is None:
            self._say_once(f"nothing is on trial: canary is {_release_text(canary)}, stable {_release_text(stable)}")
            return None
        name = f"release {standing.trial.canary} against {standing.trial.stable}"
        if before is None or before.trial != standing.trial:
            self._say(f"{name}: the trial begins")
            self._reported_s = time.monotonic()
        if standing.outcome is None:
            self._report_progress(standing, name)
            return "go on"
        self._say_once(f"{name}: {standing.outcome.decision}: {standing.outcome.reason}")
        if not self._config.dry_run:
            self._apply_decision(standing)
        return standing.outcome.decision

    def summarize(self) -> None:
        """Report the state of a trial that goes on."""
        standing = self._ledger.state()
        if standing is not None and standing.outcome is None:
            self._reported_s = -REPORT_EVERY_S
            self._report_progress(standing, f"release {standing.trial.canary} against {standing.trial.stable}")

    def _labelled_versions(self) -> tuple[int | None, int | None, int]:
        """Return the versions of canary and stable, and when the labels were last moved, in microseconds."""
        releases = self._config.deployment.folder
        labels = read_labels(releases)
        self.numbers.set_labels({} if labels is None else labels.now)
        if (version := newest(releases)) is not None:
            with suppress(ShelfRankError):  # an unreadable manifest affects only a metric
                self.numbers.set_newest_release(version, made_s=read_manifest(releases / str(version)).created_us / 1e6)
        if labels is None:
            return None, None, 0
        return labels.now.get(CANARY), labels.now.get(STABLE), (releases / FILE).stat().st_mtime_ns // 1000

    def _apply_decision(self, standing: TrialState) -> None:
        """Move the label, as `shelfrank releases` does, unless another process has moved labels meanwhile."""
        trial = standing.trial
        expected_labels = {CANARY: trial.canary, STABLE: trial.stable}
        self.numbers.set_unmoved(True)
        if standing.outcome is not None and standing.outcome.decision == "promote":
            promote(self._config.deployment, trial.canary, STABLE, expected_labels=expected_labels)
        else:
            rollback(self._config.deployment, CANARY, expected_labels=expected_labels)
        self._close_trial(standing, done=True)

    def _close_trial(self, standing: TrialState, *, done: bool) -> None:
        assert standing.outcome is not None
        append_entry(new_entry(standing, done=done), self._config.deployment.folder)
        with self._ledger.transaction():
            self._ledger.end()
        self.numbers.set_unmoved(False)
        self.numbers.count_decision(standing.outcome.decision)
        if done:
            self._say(f"release {_stable_afterwards(standing)} is stable, and nothing is on trial")
        else:
            self._say(f"somebody has moved the labels meanwhile: the decision on release {standing.trial.canary} is dropped")

    def _report_progress(self, standing: TrialState, name: str) -> None:
        if time.monotonic() - self._reported_s >= REPORT_EVERY_S:
            self._reported_s = time.monotonic()
            decision = decide(standing.test, self._config.duty.limits)
            unreadable = f"; {standing.unreadable:,} lines of the log can't be read" if standing.unreadable else ""
            self._say(f"{name}: {decision.decision}: {decision.reason}; {self._ledger.waiting():,} requests wait for a click{unreadable}")

    def _say_once(self, sentence: str) -> None:
        if sentence != self._said:
            self._say(sentence)
        self._said = sentence


def look_once(config: GuardConfig, say: Say) -> Decision | None:
    """Poll once.

    Raises:
        ShelfRankError: the decision couldn't be carried out; the next call tries again.
    """
    with _opened(config) as ledger:
        guard = Guard(config, ledger, say)
        decision = guard.poll()
        guard.summarize()
        return decision


def watch(config: GuardConfig, say: Say, *, every_s: float, metrics: tuple[str, int] | None) -> None:
    """Poll forever, every `every_s` seconds.

    A failure (the model server doesn't answer, the log can't be read) is reported and retried after 1 s, 2 s, and so on
    up to a minute.
    """
    with _opened(config) as ledger:
        guard = Guard(config, ledger, say)
        if metrics is not None:
            from prometheus_client import start_http_server

            start_http_server(metrics[1], metrics[0], registry=guard.numbers.registry)
        retry_s = FIRST_RETRY_S
        while True:
            try:
                guard.poll()
            except (ShelfRankError, OSError) as error:
                say(f"{error}; the next try is in {retry_s:g} s")
                time.sleep(retry_s)
                retry_s = min(2 * retry_s, LAST_RETRY_S)
                continue
            retry_s = FIRST_RETRY_S
            time.sleep(every_s)


@contextmanager
def _opened(config: GuardConfig) -> Iterator[TrialStore]:
    """Open the trial's state for one guard alone; the lock is released when the process ends."""
    releases = config.deployment.folder
    for folder in (releases, *config.duty.logs, *config.duty.event_logs):
        if not folder.is_dir():
            raise InputError(
                f"{folder}: expected a folder, there is none; --log names that of the service's exposure log, --event-log that of"
                " `shelfrank stream`"
            )
    if config.dry_run:
        with closing(TrialStore(None)) as ledger:
            yield ledger
        return
    with locked(releases / ".guard.lock", patience_s=0) as is_alone:
        if not is_alone:
            raise RunError(f"{releases}: another guard is at work there; end it first, or look on with --dry-run")
        with closing(TrialStore(releases / LEDGER)) as ledger:
            yield ledger


def _stable_afterwards(standing: TrialState) -> int:
    assert standing.outcome is not None
    return standing.trial.canary if standing.outcome.decision == "promote" else standing.trial.stable


def _release_text(version: int | None) -> str:
    return "no release" if version is None else f"release {version}"
