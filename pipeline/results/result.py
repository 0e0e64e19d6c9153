"""Store a finished run's result as a file, so that `shelfrank report` needs neither TFX nor TensorFlow."""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from components.contract.errors import RunError
from components.contract.load import parse_dataset
from components.drift.decision import Decision, decision_from_json
from components.evaluation.gates.gate_result import GateResult, check_gates
from components.evaluation.importance.feature_importance import Importance
from components.evaluation.metrics.curves import Curves
from components.evaluation.report.html_report import Epoch, RankedCandidate, RankedRequest
from components.evaluation.report.table import metrics_rows
from components.evaluation.results import Model, SliceMetrics, from_json, to_json
from components.rehearsal.report import Rehearsal
from pipeline.results.atomic_write import write_atomically
from trainer.tuning.trials import Trial, from_row


@dataclass(frozen=True)
class StepTime:
    """A step's final state and how long it took."""

    name: str
    state: str
    seconds: float


@dataclass(frozen=True)
class RunResult:
    """A finished run, whether the model was released or refused.

    Attributes:
        dataset: the dataset file's text.
        made_at: when the run ended, ISO 8601, UTC.
        champion: the model that the new one was compared with.
        release: version of the release, None where the gates refused.
        metrics: of both models, overall and by slice.
        ingestion: ingestion's report.
        training: one entry for each epoch.
        example: a ranked request.
        places: name to path of outputs that a user may open; in the file relative to it, so that the folder can be
            moved.
        steps: in the order they ran.
        curves: of each model, for the page.
        importance: of each feature; None in a result from before it was measured.
        rehearsal: in a model server; None in a result from before there was one.
        trials: of the hyperparameter search, best first; empty where there was none.
        drift: of the test window against what the champion was made from; None where it has no reference, or
            the window is too small to be judged.
    """

    dataset: str
    made_at: str
    champion: str
    release: int | None
    metrics: tuple[SliceMetrics, ...]
    ingestion: dict[str, Any]
    training: tuple[Epoch, ...]
    example: RankedRequest | None
    places: dict[str, str]
    steps: tuple[StepTime, ...]
    curves: dict[Model, Curves] = field(default_factory=dict)
    importance: Importance | None = None
    rehearsal: Rehearsal | None = None
    trials: tuple[Trial, ...] = ()
    drift: Decision | None = None

    @property
    def verdict(self) -> GateResult:
        """The findings of the gates and of the rehearsal."""
        shop = parse_dataset(self.dataset)
        gates = check_gates(self.metrics, shop.gates, slices=shop.slices)
        return GateResult((*gates.findings, *(self.rehearsal.findings if self.rehearsal else ())))

    def to_json(self) -> str:
        """Return the text of the file that `read_result` reads."""
        return json.dumps(asdict(self) | {"metrics": to_json(self.metrics)}, indent=1, ensure_ascii=False, allow_nan=False)

    def shown(self) -> dict[str, Any]:
        """Return the document that `--json` prints."""
        values: dict[str, Any] = json.loads(self.to_json())
        gate_result = self.verdict
        del values["metrics"], values["curves"]
        values["dataset"] = parse_dataset(self.dataset).name
        return values | {"passed": gate_result.passed, "verdict": list(gate_result.sentences), "slices": metrics_rows(self.metrics)}


def read_result(file: Path) -> RunResult:
    """Read the last finished run of a folder.

    Raises:
        RunError: there is none.
    """
    if not file.exists():
        raise RunError(f"{file.parent}: no run has come to its end here; start one with `shelfrank run`, or give another --root")
    result, folder = parse_result(file.read_text(encoding="utf-8")), file.absolute().parent
    return replace(result, places={name: str(folder / path) for name, path in result.places.items()})


def write_result(result: RunResult, file: Path) -> None:
    """Write a run's result into its folder, for `read_result`."""
    folder = file.absolute().parent
    write_atomically(file, replace(result, places={name: os.path.relpath(path, folder) for name, path in result.places.items()}).to_json())


def parse_result(text: str) -> RunResult:
    """Parse the text that `to_json` returns."""
    values = json.loads(text)
    example = values["example"]
    return RunResult(
        **values
        | {
            "metrics": from_json(values["metrics"]),
            "training": tuple(Epoch(**epoch) for epoch in values["training"]),
            "example": example and RankedRequest(example["caption"], tuple(RankedCandidate(**each) for each in example["candidates"])),
            "steps": tuple(StepTime(**step) for step in values["steps"]),
            "importance": (importance := values.get("importance")) and Importance.from_json(importance),
            "rehearsal": (rehearsal := values.get("rehearsal")) and Rehearsal.from_json(rehearsal),
            "trials": tuple(map(from_row, values["trials"])),
            "drift": (drift := values.get("drift")) and decision_from_json(drift),
        }
    )
