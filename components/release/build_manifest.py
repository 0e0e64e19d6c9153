"""Build a release's manifest from the dataset file and the output of the earlier steps."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from components.contract.columns import input_columns
from components.contract.dataset import Dataset
from components.contract.load import parse_dataset
from components.evaluation.gates.gate_result import GateResult, check_gates
from components.evaluation.results import CHALLENGER, SliceMetrics
from components.evaluation.tfma.results import read_metrics
from components.rehearsal.report import FILE as REHEARSAL_FILE
from components.rehearsal.report import Rehearsal
from components.release.manifest import Manifest


def build_manifest(dataset: str, *, evaluation: str, ingestion: str, rehearsal: str, code: str, created_us: int) -> Manifest:
    """Build the manifest of a model to release; version, parent and content are set when it is published.

    Args:
        dataset: the dataset file's text.
        evaluation: folder of Evaluator's results.
        ingestion: folder of ingestion's report.
        rehearsal: folder of the rehearsal's.
        code: version of the code.
        created_us: the time of publication, microseconds since the epoch.
    """
    shop = parse_dataset(dataset)
    metrics = read_metrics(evaluation)
    rehearsed = _rehearsal(rehearsal)
    overall = next(entry.values for entry in metrics if entry.model == CHALLENGER and not entry.slice)
    report = json.loads((Path(ingestion) / "report.json").read_text(encoding="utf-8"))
    return Manifest(
        created_us=created_us,
        dataset=shop.name,
        dataset_digest=hashlib.sha256(dataset.encode()).hexdigest(),
        data_window=report["window"],
        metrics={name: None if math.isnan(value) else value for name, value in overall.items()},
        verdict=_all_checks(shop, metrics, rehearsed).sentences,
        input_columns=tuple(column.name for column in input_columns(shop)),
        code=code,
        rehearsal=asdict(rehearsed),
    )


def refusals(dataset: str, *, evaluation: str, rehearsal: str) -> tuple[str, ...]:
    """List why the gates and the rehearsal refuse a model, a sentence each; none where it may be released.

    Args:
        dataset: the dataset file's text.
        evaluation: folder of Evaluator's results.
        rehearsal: folder of the rehearsal's.
    """
    result = _all_checks(parse_dataset(dataset), read_metrics(evaluation), _rehearsal(rehearsal))
    return tuple(finding.text for finding in result.findings if not finding.passed)


def _all_checks(shop: Dataset, metrics: Sequence[SliceMetrics], rehearsed: Rehearsal) -> GateResult:
    gates = check_gates(metrics, shop.gates, slices=shop.slices)
    return GateResult((*gates.findings, *rehearsed.findings))


def _rehearsal(folder: str) -> Rehearsal:
    return Rehearsal.from_json(json.loads((Path(folder) / REHEARSAL_FILE).read_text(encoding="utf-8")))
