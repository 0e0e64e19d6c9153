"""Audit decisions: find them in the log, trace their releases, and compute their scores again."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.load import parse_dataset
from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import RELEASES
from pipeline.audit.decision import Decision, read_decision
from pipeline.audit.explain_decision import Why, explained
from pipeline.audit.find_lines import LoggedLine, Say, Searched, erasure_requests, find_lines, log_folders
from pipeline.audit.release_facts import ReleaseFacts, release_facts
from pipeline.audit.rescore import Rescored, compare
from serving.exposure.log import DECISIONS, INTERACTIONS
from serving.exposure.serialization import EventRows

if TYPE_CHECKING:
    from pipeline.audit.release_model import ReleaseModel


class Status(StrEnum):
    """How the recomputation of a decision's scores ended."""

    SAME = "the scores are those that the release computes"
    NO_MODEL = "no model answered, so there are no scores of a release"
    NOT_ASKED = "the scores weren't computed again"
    DIFFERENT = "the scores aren't those that the release computes"
    NOT_LOGGED = "the features weren't logged, so the scores can't be computed again"
    RELEASE_GONE = "the release is gone, so the scores can't be computed again"


@dataclass(frozen=True, kw_only=True)
class AuditConfig:
    """What to search, and where.

    Attributes:
        logs: folders of exposure logs, or of such folders.
        store: the folder of `releases/` and `serving/`, such as the root of a run.
        index: folder of the indexes of complete log files; None: `audit` in each log's folder.
        examples: folder of an ingestion's examples, from which the features of requests are taken that were logged
            without; None: they aren't.
        dataset: used in place of the release's own; None: that of the release.
        rescored: whether scores are computed again.
        explained: whether reasons are computed from the features in the log, which takes seconds.
    """

    logs: Sequence[Path]
    store: Address
    index: Path | None = None
    examples: str | None = None
    dataset: Dataset | None = None
    rescored: bool = True
    explained: bool = False


@dataclass(frozen=True)
class Action:
    """What the shopper did with the list: the action as the dataset names it, its item and place, seconds after the request."""

    action: str
    item: str
    position: int | None
    after_s: float


@dataclass(frozen=True)
class Audit:
    """What is known of a decision.

    Attributes:
        decision: as logged.
        line: of the log that it is read from.
        release: None where no model answered.
        status: of the recomputation.
        reason: why it ended so, in a sentence; "" where the status says it all.
        rescored: None where nothing was computed.
        actions: in the order of time; None where no dataset file is known that names the log's columns.
        why: in words; None where it wasn't asked for, or the features weren't logged.
    """

    decision: Decision
    line: LoggedLine
    release: ReleaseFacts | None
    status: Status
    reason: str = ""
    rescored: Rescored | None = None
    actions: Sequence[Action] | None = None
    why: Why | None = None


@dataclass(frozen=True)
class Audits:
    """The audits by request, what was searched, and the requests whose shopper is to be forgotten."""

    by_request: Mapping[str, Sequence[Audit]]
    searched: Searched
    forgotten: Sequence[str] = field(default_factory=tuple)


def audit(config: AuditConfig, requests: Sequence[str], *, say: Say) -> Audits:
    """Audit requests.

    Args:
        config: where to look.
        requests: their ids.
        say: called with the progress.

    Raises:
        InputError: there is no log, or what was logged doesn't fit the release.
        ShelfRankError: the store can't be read.
        OSError: the log can't be read, or an index can't be written.
    """
    folders = log_folders(config.logs)
    lines, searched = find_lines(folders, DECISIONS, "request", requests, index=config.index, say=say)
    if not searched.files + searched.open_files:
        raise InputError(f"{', '.join(map(str, config.logs))}: expected decisions-*.jsonl of an exposure log, found none")
    until_us = erasure_requests(folders)
    kept = {request: [line for line in matching if not _is_forgotten(line.row, until_us)] for request, matching in lines.items()}
    with ExitStack() as stack:
        auditor = _Auditor(config, folders, until_us, say, stack)
        audits = {request: [auditor.audit(line) for line in matching] for request, matching in kept.items()}
    return Audits(audits, searched, [request for request, matching in lines.items() if len(matching) > len(kept[request])])


def _is_forgotten(row: Mapping[str, Any], until_us: Mapping[str, int], *, user: str = "user", time: str = "time") -> bool:
    """Return whether a line's shopper has asked to be forgotten since: it is there only until the service erases it."""
    return bool(row.get(user)) and row[time] <= until_us.get(row[user], -1)


@final
class _Auditor:
    """Audit decisions one after the other; releases are read and loaded once."""

    def __init__(self, config: AuditConfig, folders: Sequence[Path], until_us: Mapping[str, int], say: Say, stack: ExitStack) -> None:
        self._config, self._folders, self._until_us, self._say, self._stack = config, folders, until_us, say, stack
        self._facts: dict[int, ReleaseFacts] = {}
        self._models: dict[int, ReleaseModel] = {}

    def audit(self, line: LoggedLine) -> Audit:
        """Audit one decision."""
        decision = read_decision(line.row)
        release = None if decision.version is None else self._release(decision.version)
        status, reason, rescored = self._rescore(decision, release)
        dataset = self._dataset(release)
        why = self._why(decision, dataset) if self._config.explained and rescored is not None else None
        return Audit(decision, line, release, status, reason, rescored, self._actions(decision, dataset), why)

    def _why(self, decision: Decision, dataset: Dataset | None) -> Why | None:
        if decision.features is None or decision.version is None or dataset is None:
            return None
        self._say("explains the scores")
        return explained(self._model(decision.version), decision.features, len(decision.items), dataset)

    def _release(self, version: int) -> ReleaseFacts:
        if version not in self._facts:
            self._facts[version] = release_facts(self._config.store, version)
        return self._facts[version]

    def _dataset(self, release: ReleaseFacts | None) -> Dataset | None:
        if self._config.dataset is not None or release is None or release.dataset is None:
            return self._config.dataset
        return parse_dataset(release.dataset)

    def _model(self, version: int) -> "ReleaseModel":
        if version not in self._models:
            from pipeline.audit.release_model import ReleaseModel  # imports TensorFlow

            self._say(f"loads release {version}")
            model = ReleaseModel(self._config.store / RELEASES / str(version))
            self._stack.callback(model.close)
            self._models[version] = model
        return self._models[version]

    def _rescore(self, decision: Decision, release: ReleaseFacts | None) -> tuple[Status, str, Rescored | None]:
        if decision.scores is None or release is None:
            return Status.NO_MODEL, decision.degraded, None
        if release.gone:
            there = ", ".join(map(str, release.there)) or "none"
            return Status.RELEASE_GONE, f"release {release.version} isn't in {self._config.store}; there: {there}", None
        if not self._config.rescored:
            return Status.NOT_ASKED, "", None
        if fault := release.fault_at(decision.time_us):
            return Status.DIFFERENT, fault, None
        if decision.features is not None:
            model = self._model(release.version)
            scores = model.run(model.tensors(decision.features))["scores"][0, : len(decision.items)]
            return _compared(compare("log", decision.scores, scores))
        if self._config.examples is not None:
            return self._rescore_examples(decision, release, self._config.examples)
        return Status.NOT_LOGGED, _NOT_LOGGED, None

    def _rescore_examples(self, decision: Decision, release: ReleaseFacts, examples: str) -> tuple[Status, str, Rescored | None]:
        from pipeline.audit.example_tensors import example_tensors, lacks_whole_list  # imports TFX's coders

        dataset = self._dataset(release)
        if dataset is None:
            return Status.NOT_LOGGED, f"{_NOT_LOGGED} To take them from examples the dataset file is needed: give it by --dataset.", None
        self._say("looks for the request in the examples")
        taken = example_tensors(examples, decision, dataset)
        if taken is None or not taken.candidates:
            return Status.NOT_LOGGED, f"{_NOT_LOGGED} Nor does {examples} have the request.", None
        if lacks_whole_list(taken, dataset):
            reason = "The examples have only the candidates that were seen, and features of the kind `list` compare all that were ranked."
            return Status.NOT_LOGGED, f"{_NOT_LOGGED} {reason}", None
        scores = taken.spread(self._model(release.version).run(taken.tensors)["scores"][0])
        assert decision.scores is not None
        return _compared(compare("examples", decision.scores, scores))

    def _actions(self, decision: Decision, dataset: Dataset | None) -> list[Action] | None:
        if dataset is None:
            return None
        rows = EventRows(dataset)
        column = rows.columns
        matching, _ = find_lines(
            self._folders, INTERACTIONS, column["request"], [decision.request], index=self._config.index, say=self._say
        )
        names = {value: name for name, value in rows.actions.items()}
        user, time = column["user"], column["time"]
        if missing := {name for line in matching[decision.request] for name in column.values() if name not in line.row}:
            raise InputError(f"{self._folders[0]}: expected the columns {sorted(missing)} in interactions; name the log's --dataset")
        kept = [line.row for line in matching[decision.request] if not _is_forgotten(line.row, self._until_us, user=user, time=time)]
        return [
            Action(
                names.get(row[column["action"]], row[column["action"]]),
                row[column["item"]] or "",
                row[column["position"]],
                (row[time] - decision.time_us) / 1e6,
            )
            for row in sorted(kept, key=lambda row: row[time])
        ]


_NOT_LOGGED = (
    "The log holds the features of a sample of the requests, and this isn't in it: start the service with --logged-features 1 to log"
    " those of all, or give the examples of an ingestion of this log by --examples."
)


def _compared(rescored: Rescored) -> tuple[Status, str, Rescored]:
    return (Status.SAME if rescored.agrees else Status.DIFFERENT), "", rescored
