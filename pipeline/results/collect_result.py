"""Collect a run's result from the outputs of its steps."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.contract.errors import RunError
from components.contract.load import parse_dataset
from components.drift.component import read_decision
from components.evaluation.importance.feature_importance import FILE as IMPORTANCE_FILE
from components.evaluation.importance.feature_importance import Importance
from components.evaluation.report.html_report import Epoch
from components.evaluation.tfma.results import read_curves, read_metrics
from components.rehearsal.report import FILE as REHEARSAL_FILE
from components.rehearsal.report import Rehearsal
from pipeline.results.ranked_example import ranked_request
from pipeline.results.result import RunResult
from trainer.export.files import CURVE_FILE
from trainer.tuning.trials import TRIALS_FILE, Trial, from_json


@dataclass(frozen=True)
class StepOutputs:
    """Folders of the steps' outputs.

    Attributes:
        ingestion: ingestion's report.
        examples: as ingested.
        model: the trained SavedModel.
        evaluation: Evaluator's results.
        importance: of the features.
        rehearsal: the rehearsal's report.
        drift: DriftCheck's report.
        trials: the Tuner's; None where there was none.
    """

    ingestion: str
    examples: str
    model: str
    evaluation: str
    importance: str
    rehearsal: str
    drift: str
    trials: str | None = None


def collect_result(dataset: str, outputs: StepOutputs, *, champion: str, release: int | None) -> RunResult:
    """Return the result of a run whose steps are done, without their times and the paths on this machine.

    Args:
        dataset: the dataset file's text.
        outputs: of the steps.
        champion: the model that the new one was compared with.
        release: version of the release, None where the model was refused.

    Raises:
        RunError: the gates' verdict contradicts the release.
    """
    result = RunResult(
        dataset=dataset,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        champion=champion,
        release=release,
        metrics=read_metrics(outputs.evaluation),
        ingestion=_without_files(json.loads(_text(outputs.ingestion, "report.json"))),
        training=tuple(Epoch(loss=row["loss"], eval_auc=row["eval_auc"]) for row in json.loads(_text(outputs.model, CURVE_FILE))),
        trials=_trials(outputs.trials),
        example=ranked_request(Path(outputs.examples), Path(outputs.model), dataset=parse_dataset(dataset)),
        places={},
        steps=(),
        curves=read_curves(outputs.evaluation),
        importance=Importance.from_json(json.loads(_text(outputs.importance, IMPORTANCE_FILE))),
        rehearsal=Rehearsal.from_json(json.loads(_text(outputs.rehearsal, REHEARSAL_FILE))),
        drift=read_decision(outputs.drift),
    )
    if result.verdict.passed != (release is not None):
        state = "passed" if result.verdict.passed else "refused"
        raise RunError(f"the verdict ({state}) isn't what Evaluator and ServingRehearsal decided; this is a fault of ShelfRank")
    return result


def _without_files(report: dict[str, Any]) -> dict[str, Any]:
    """Leave out the list of files, of which there may be thousands: it is a part of the lineage."""
    return {name: value for name, value in report.items() if name != "files"}


def _trials(folder: str | None) -> tuple[Trial, ...]:
    return () if folder is None else from_json(_text(folder, TRIALS_FILE))


def _text(folder: str, name: str) -> str:
    return Path(folder, name).read_text(encoding="utf-8")
