"""Write a run's result in a step of its own, `SliceReport`, so that every orchestrator has it."""

import json
import logging
import math
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.experimental.simple_artifacts import File
from tfx.types.standard_artifacts import Examples, InfraBlessing, Model, ModelEvaluation, PushedModel, TunerResults
from tfx.utils.path_utils import serving_model_path

from components.contract.sources import AMOUNTS
from components.evaluation.results import CHALLENGER
from components.release.manifest import FILE as MANIFEST
from components.release.run_outcome import RunOutcome
from pipeline.kubeflow.step.artifact_paths import ArtifactPaths
from pipeline.results.collect_result import StepOutputs, collect_result
from pipeline.results.lineage import lineage
from pipeline.results.render_result import render_page
from pipeline.results.result import RunResult

RESULT, PAGE, LINEAGE = "result.json", "report.html", "lineage.json"
LIST_METRICS = ("auc", "gauc", "precision_at_1", "precision_at_5", "precision_at_10", "ndcg_at_10", "mrr", "log_loss")
METRICS = (*LIST_METRICS, *(f"{amount}_at_5" for amount in AMOUNTS))

_log = logging.getLogger("shelfrank.progress")


@component
def SliceReport(  # noqa: N802 - TFX names a component by its function
    dataset: Parameter[str],
    data_root: Parameter[str],
    code: Parameter[str],
    graph: Parameter[str],
    ingestion: InputArtifact[File],
    examples: InputArtifact[Examples],
    drift: InputArtifact[File],
    model: InputArtifact[Model],
    champion: InputArtifact[Model],
    evaluation: InputArtifact[ModelEvaluation],
    rehearsal: InputArtifact[InfraBlessing],
    pushed: InputArtifact[PushedModel],
    importance: InputArtifact[File],
    report: OutputArtifact[File],
    metrics: OutputArtifact[File],
    page: OutputArtifact[File],
    trials: InputArtifact[TunerResults] = None,
    image: Parameter[str] = "",
) -> None:
    """Write the run's result: metrics by slice, the gates' verdict and the lineage.

    Args:
        dataset: the dataset file's text.
        data_root: folder or address that its relative paths are resolved against.
        code: version of the code, a part of the cache key.
        graph: the graph's edges as JSON, see `pipeline.results.lineage`.
        ingestion: ingestion's report.
        examples: as ingested.
        drift: DriftCheck's report.
        model: as trained.
        champion: the model that it was compared with.
        evaluation: Evaluator's results.
        rehearsal: the rehearsal's decision.
        pushed: the release, or a record that nothing was released.
        importance: of the features.
        report: `result.json`, which `shelfrank report` reads, and `lineage.json`.
        metrics: the main metrics over the whole test window as numbers of the artifact itself, and `released`: 1 or 0.
            Kubeflow shows such numbers beside the step.
        page: the report as one HTML file: the artifact's address is the file, so that Kubeflow shows it.
        trials: of the hyperparameter search, where there was one.
        image: container image that the step runs in.
    """
    release = int(pushed.get_string_custom_property("pushed_version")) if pushed.get_int_custom_property("pushed") else None
    result = collect_result(
        dataset,
        StepOutputs(
            ingestion=ingestion.uri,
            examples=examples.uri,
            model=serving_model_path(model.uri),
            evaluation=evaluation.uri,
            importance=importance.uri,
            rehearsal=rehearsal.uri,
            drift=drift.uri,
            trials=trials.uri if trials else None,
        ),
        champion=champion.get_string_custom_property("champion"),
        release=release,
    )
    inputs = {
        "EventExampleGen.report": ingestion,
        "EventExampleGen.examples": examples,
        "DriftCheck.report": drift,
        "Trainer.model": model,
        "Champion.model": champion,
        "Evaluator.evaluation": evaluation,
        "ServingRehearsal.blessing": rehearsal,
        "Release.pushed_model": pushed,
        "FeatureImportance.report": importance,
        **({"Tuner.tuner_results": trials} if trials else {}),
    }
    document = lineage(
        dataset=dataset,
        graph=json.loads(graph),
        artifacts={name: ArtifactPaths.here().remote(artifact.uri) for name, artifact in inputs.items()},
        data={
            "root": data_root,
            "window": result.ingestion["window"],
            "counts": result.ingestion["counts"],
            "files": json.loads(Path(ingestion.uri, "report.json").read_text(encoding="utf-8"))["files"],
        },
        run={
            "made_at": result.made_at,
            "champion": result.champion,
            "release": json.loads(Path(pushed.uri, MANIFEST).read_text(encoding="utf-8")) if release is not None else None,
            "code": code,
            "image": image,
        },
    )
    for artifact, name, text in ((report, RESULT, result.to_json()), (report, LINEAGE, document), (page, PAGE, render_page(result))):
        folder = Path(artifact.uri)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    page.uri = str(Path(page.uri) / PAGE)
    for name, value in shown_metrics(result).items():
        metrics.set_float_custom_property(name, value)
    for sentence in result.verdict.sentences:
        _log.info("%s", sentence)
    refusals = tuple(finding.text for finding in result.verdict.findings if not finding.passed)
    print(RunOutcome(release is not None, release, refusals).line(), flush=True)  # for `shelfrank submit`, which may read the step's log


def shown_metrics(result: RunResult) -> dict[str, float]:
    """Return each metric's value over the whole test window, and `released`."""
    overall = next(entry.values for entry in result.metrics if entry.model == CHALLENGER and not entry.slice)
    values = {name: overall[name] for name in METRICS if not math.isnan(overall.get(name, math.nan))}
    return values | {"released": float(result.release is not None)}
