"""`SliceReport`: the run's result as a step, so that it is there on every orchestrator."""

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
from pipeline.kubeflow.step.artifact_paths import Places
from pipeline.results.collect_result import Outputs, outcome
from pipeline.results.lineage import lineage
from pipeline.results.render_result import page as rendered
from pipeline.results.result import RunResult

RESULT, PAGE, LINEAGE = "result.json", "report.html", "lineage.json"
OF_LISTS = ("auc", "gauc", "precision_at_1", "precision_at_5", "precision_at_10", "ndcg_at_10", "mrr", "log_loss")
METRICS = (*OF_LISTS, *(f"{amount}_at_5" for amount in AMOUNTS))

_log = logging.getLogger("shelfrank.progress")


@component
def SliceReport(  # noqa: N802 - TFX names a component by its function
    dataset: Parameter[str],
    data_root: Parameter[str],
    code: Parameter[str],
    graph: Parameter[str],
    ingestion: InputArtifact[File],
    examples: InputArtifact[Examples],
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
    """Write what the run gave: metrics by slice, verdict, lineage.

    Args:
        dataset: the dataset file's text.
        data_root: where its relative paths are looked up.
        code: version of the code; TFX's cache goes by it.
        graph: the graph's edges as JSON, see `pipeline.results.lineage`.
        ingestion: ingestion's report.
        examples: as ingested.
        model: as trained.
        champion: what it was compared with.
        evaluation: Evaluator's results.
        rehearsal: the rehearsal's decision.
        pushed: what was released, or that nothing was.
        importance: of the features.
        report: `result.json`, which `shelfrank report` reads, and `lineage.json`.
        metrics: the chief metrics over the whole test window as numbers of the artifact itself, and `released`: 1 or 0. Kubeflow shows
            such numbers beside the step.
        page: the report as one HTML file: the artifact's address is the file, so that Kubeflow shows it.
        trials: of the search for settings, where there was one.
        image: that the step runs in.
    """
    release = int(pushed.get_string_custom_property("pushed_version")) if pushed.get_int_custom_property("pushed") else None
    result = outcome(
        dataset,
        Outputs(
            ingestion=ingestion.uri,
            examples=examples.uri,
            model=serving_model_path(model.uri),
            evaluation=evaluation.uri,
            importance=importance.uri,
            rehearsal=rehearsal.uri,
            trials=trials.uri if trials else None,
        ),
        champion=champion.get_string_custom_property("champion"),
        release=release,
    )
    given = {"EventExampleGen.report": ingestion, "EventExampleGen.examples": examples, "Trainer.model": model, "Champion.model": champion}
    given |= {"Evaluator.evaluation": evaluation, "ServingRehearsal.blessing": rehearsal, "Release.pushed_model": pushed}
    given |= {"FeatureImportance.report": importance} | ({"Tuner.tuner_results": trials} if trials else {})
    manifest = Path(pushed.uri) / MANIFEST
    told = lineage(
        dataset=dataset,
        graph=json.loads(graph),
        artifacts={name: Places.here().remote(artifact.uri) for name, artifact in given.items()},
        data={"root": data_root, "window": result.ingestion["window"], "counts": result.ingestion["counts"]},
        run={
            "made_at": result.made_at,
            "champion": result.champion,
            "release": json.loads(manifest.read_text(encoding="utf-8")) if release is not None else None,
            "code": code,
            "image": image,
        },
    )
    for artifact, name, text in ((report, RESULT, result.to_json()), (report, LINEAGE, told), (page, PAGE, rendered(result))):
        folder = Path(artifact.uri)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    page.uri = str(Path(page.uri) / PAGE)
    for name, value in shown(result).items():
        metrics.set_float_custom_property(name, value)
    for sentence in result.verdict.sentences:
        _log.info("%s", sentence)
    refusals = tuple(finding.text for finding in result.verdict.findings if not finding.passed)
    print(RunOutcome(release is not None, release, refusals).line(), flush=True)  # for `shelfrank submit`, which may read the step's log


def shown(result: RunResult) -> dict[str, float]:
    """Metric to value over the whole test window, and `released`."""
    overall = next(entry.values for entry in result.metrics if entry.model == CHALLENGER and not entry.slice)
    found = {name: overall[name] for name in METRICS if not math.isnan(overall.get(name, math.nan))}
    return found | {"released": float(result.release is not None)}
