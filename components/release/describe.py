"""What a manifest says, gathered from the dataset file and from what the earlier steps wrote."""

import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path

from components.contract.columns import input_columns
from components.contract.load import parse_dataset
from components.evaluation.results import CHALLENGER
from components.evaluation.tfma_results import read_metrics
from components.evaluation.verdict import Verdict, verdict
from components.rehearsal.report import FILE as REHEARSAL_FILE
from components.rehearsal.report import Rehearsal
from components.release.manifest import Manifest


def describe(dataset: str, *, evaluation: str, ingestion: str, rehearsal: str, code: str, created_us: int) -> Manifest:
    """The manifest of a model that is to be released, but for what its publication sets.

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
    overall = next(entry.values for entry in metrics if entry.model == CHALLENGER and not entry.slice)
    report = json.loads((Path(ingestion) / "report.json").read_text(encoding="utf-8"))
    rehearsed = Rehearsal.from_json(json.loads((Path(rehearsal) / REHEARSAL_FILE).read_text(encoding="utf-8")))
    gates = verdict(metrics, shop.gates, slices=shop.slices)
    return Manifest(
        created_us=created_us,
        dataset=shop.name,
        dataset_digest=hashlib.sha256(dataset.encode()).hexdigest(),
        data_window=report["window"],
        metrics={name: None if math.isnan(value) else value for name, value in overall.items()},
        verdict=Verdict((*gates.findings, *rehearsed.findings)).sentences,
        input_columns=tuple(column.name for column in input_columns(shop)),
        code=code,
        rehearsal=asdict(rehearsed),
    )
