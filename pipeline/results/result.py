"""What a finished run gave: kept as a file, so that `shelfrank report` needs neither TFX nor TensorFlow."""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from components.contract.errors import RunError
from components.contract.load import parse_dataset
from components.evaluation.gates.gate_result import GateResult, check_gates
from components.evaluation.importance.feature_importance import Importance
from components.evaluation.metrics.curves import Curves
from components.evaluation.report.html_report import Epoch, RankedCandidate, RankedRequest
from components.evaluation.report.table import metrics_rows
from components.evaluation.results import Model, SliceMetrics, from_json, to_json
from components.rehearsal.report import Rehearsal
from pipeline.local.run_record import write
from trainer.tuning.trials import Trial, from_row


@dataclass(frozen=True)
class StepTime:
    """How a step ended and how long it took."""

    name: str
    state: str
    seconds: float


@dataclass(frozen=True)
class RunResult:
    """A run that came to its end, whether the model was released or refused.

    Attributes:
        dataset: the dataset file's text.
        made_at: when the run ended, ISO 8601, UTC.
        champion: what the model was compared with.
        release: version of the release, None where the gates refused.
        metrics: of both models, overall and by slice.
        ingestion: ingestion's report.
        training: one entry for each epoch.
        example: a request as the model ranks it.
        places: name to path, of what one may want to open; in the file relative to it, so that a folder that moves has its own.
        steps: in the order they ran.
        curves: of each model, for the page.
        importance: of each feature; None in a result that was kept before there was any.
        rehearsal: in a model server; None in a result that was kept before there was any.
        trials: of the search for settings, best first; empty where there was none.
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

    @property
    def verdict(self) -> GateResult:
        """What the gates and the rehearsal found."""
        shop = parse_dataset(self.dataset)
        gates = check_gates(self.metrics, shop.gates, slices=shop.slices)
        return GateResult((*gates.findings, *(self.rehearsal.findings if self.rehearsal else ())))

    def to_json(self) -> str:
        """The text of the file, read by `read_result`."""
        return json.dumps(asdict(self) | {"metrics": to_json(self.metrics)}, indent=1, ensure_ascii=False, allow_nan=False)

    def shown(self) -> dict[str, Any]:
        """What `--json` prints."""
        given: dict[str, Any] = json.loads(self.to_json())
        found = self.verdict
        del given["metrics"], given["curves"]
        given["dataset"] = parse_dataset(self.dataset).name
        return given | {"passed": found.passed, "verdict": list(found.sentences), "slices": metrics_rows(self.metrics)}


def read_result(file: Path) -> RunResult:
    """The last finished run of a folder.

    Raises:
        RunError: there is none.
    """
    if not file.exists():
        raise RunError(f"{file.parent}: no run has come to its end here; start one with `shelfrank run`, or give another --root")
    result, folder = parse_result(file.read_text(encoding="utf-8")), file.absolute().parent
    return replace(result, places={name: str(folder / place) for name, place in result.places.items()})


def write_result(result: RunResult, file: Path) -> None:
    """Keep a run's result in its folder, for `read_result`."""
    folder = file.absolute().parent
    write(file, replace(result, places={name: os.path.relpath(place, folder) for name, place in result.places.items()}).to_json())


def parse_result(text: str) -> RunResult:
    """The inverse of `to_json`."""
    given = json.loads(text)
    example = given["example"]
    return RunResult(
        **given
        | {
            "metrics": from_json(given["metrics"]),
            "training": tuple(Epoch(**epoch) for epoch in given["training"]),
            "example": example and RankedRequest(example["caption"], tuple(RankedCandidate(**each) for each in example["candidates"])),
            "steps": tuple(StepTime(**step) for step in given["steps"]),
            "importance": (known := given.get("importance")) and Importance.from_json(known),
            "rehearsal": (told := given.get("rehearsal")) and Rehearsal.from_json(told),
            "trials": tuple(map(from_row, given["trials"])),
        }
    )
