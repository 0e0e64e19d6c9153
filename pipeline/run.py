"""A whole run on this machine: taken up where an earlier one stopped, and told in a `RunResult`."""

import hashlib
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from components.contract.errors import RunError
from components.contract.load import parse_dataset
from components.evaluation.importance import FILE as IMPORTANCE_FILE
from components.evaluation.importance import Importance
from components.evaluation.report import Epoch
from components.evaluation.tfma_results import read_curves, read_metrics
from components.rehearsal.report import FILE as REHEARSAL_FILE
from components.rehearsal.report import Rehearsal
from pipeline.config import RunConfig
from pipeline.display import Display
from pipeline.fingerprint import INGESTION, LEARNING, code_version, input_digest
from pipeline.graph import create_pipeline
from pipeline.local import BEAM_ARGS, INGESTION_BEAM_ARGS, Step, run_locally
from pipeline.metadata import Output, connection, sweep
from pipeline.ranked import ranked_request
from pipeline.record import pin, write
from pipeline.result import RunResult, StepTime
from pipeline.show import page
from trainer.run import CURVE_FILE
from trainer.space import check_settings
from trainer.trials import TRIALS_FILE, Trial, from_json


def run(config: RunConfig, *, log: Path, shown: Display) -> RunResult:
    """Run the graph; what an earlier run finished with the same data, dataset file and code isn't done again.

    The caller holds the folder (`record.alone`).

    Raises:
        DatasetFileError: the model's settings or the gates can't be.
        InputError: the data isn't as the dataset file says.
        RunError: a step failed.
    """
    store = connection(config.metadata)
    sweep(store, config.artifacts)
    dataset = parse_dataset(config.dataset)
    check_settings(dataset)  # A fault in the model's settings is told now, not when training begins.
    code = code_version(LEARNING)
    data = _digest(input_digest(dataset, config.data_root), code_version(INGESTION))
    fingerprint = _digest(data, config.dataset)
    pinned = pin(config.record, _digest(fingerprint, code, config.data_root), config.releases)
    pipeline = create_pipeline(
        config.name,
        str(config.artifacts),
        dataset=config.dataset,
        data_root=config.data_root,
        push_destination=str(config.root),
        champion=pinned.champion,
        fingerprint=fingerprint,
        code=code,
        attempt=pinned.attempt,
        trials=str(config.trials / _digest(data, code)[:20]),
        beam_args=BEAM_ARGS,
        ingestion_beam_args=INGESTION_BEAM_ARGS,
        metadata=store,
    )
    steps = run_locally(pipeline, store=store, run_id=datetime.now(UTC).isoformat(), log=log, shown=shown)
    shown.begin("Report")
    result = _result(config, steps, log=log)
    write(config.html, page(result))
    write(config.last, result.to_json())
    write(config.record, json.dumps(asdict(replace(pinned, released=result.release))))
    shown.end("done")
    return result


def _result(config: RunConfig, steps: tuple[Step, ...], *, log: Path) -> RunResult:
    outputs = {step.name: step.outputs for step in steps}
    pushed = outputs["Release"]["pushed_model"].properties
    released = int(pushed["pushed_version"]) if pushed["pushed"] else None
    trained = Path(outputs["Trainer"]["model"].uri, "Format-Serving")
    examples = Path(outputs["EventExampleGen"]["examples"].uri)
    result = RunResult(
        dataset=config.dataset,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        champion=str(outputs["Champion"]["model"].properties["champion"]),
        release=released,
        metrics=read_metrics(outputs["Evaluator"]["evaluation"].uri),
        ingestion=json.loads(Path(outputs["EventExampleGen"]["report"].uri, "report.json").read_text(encoding="utf-8")),
        training=_epochs(trained),
        trials=_trials(outputs),
        example=ranked_request(examples, trained, dataset=parse_dataset(config.dataset)),
        places={
            "model": str(trained),
            "release": str(config.releases / str(released)) if released is not None else "none",
            "releases": str(config.releases),
            "report": str(config.html),
            "feature state": outputs["EventExampleGen"]["state"].uri,
            "log": str(log),
        },
        steps=tuple(StepTime(step.name, step.state, round(step.seconds, 3)) for step in steps),
        curves=read_curves(outputs["Evaluator"]["evaluation"].uri),
        importance=Importance.from_json(
            json.loads(Path(outputs["FeatureImportance"]["report"].uri, IMPORTANCE_FILE).read_text(encoding="utf-8"))
        ),
        rehearsal=Rehearsal.from_json(
            json.loads(Path(outputs["ServingRehearsal"]["blessing"].uri, REHEARSAL_FILE).read_text(encoding="utf-8"))
        ),
    )
    if result.verdict.passed != (released is not None):
        found = "passed" if result.verdict.passed else "refused"
        raise RunError(f"the verdict ({found}) isn't what Evaluator and ServingRehearsal decided; this is a fault of ShelfRank. Log: {log}")
    return result


def _epochs(model: Path) -> tuple[Epoch, ...]:
    rows = json.loads((model / CURVE_FILE).read_text(encoding="utf-8"))
    return tuple(Epoch(loss=row["loss"], eval_auc=row["eval_auc"]) for row in rows)


def _trials(outputs: dict[str, dict[str, Output]]) -> tuple[Trial, ...]:
    if "Tuner" not in outputs:
        return ()
    return from_json(Path(outputs["Tuner"]["tuner_results"].uri, TRIALS_FILE).read_text(encoding="utf-8"))


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
