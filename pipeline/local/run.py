"""Run the whole pipeline on this machine: resume where an earlier run stopped, and return a `RunResult`."""

import hashlib
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from tfx.utils.path_utils import serving_model_path

from components.contract.load import parse_dataset
from pipeline.beam.presets import BeamArgs
from pipeline.config import RunConfig
from pipeline.graph import GraphConfig, create_pipeline
from pipeline.local.run_record import inputs_before, pin
from pipeline.local.runner import BEAM, Step, run_locally
from pipeline.results.atomic_write import write_atomically
from pipeline.results.fingerprint import INGESTION, LEARNING, code_version, input_digest
from pipeline.results.metadata import clean_up_interrupted, connection, relocate_artifacts
from pipeline.results.render_result import render_page
from pipeline.results.result import RunResult, StepTime, parse_result, write_result
from pipeline.slice_report import LINEAGE, RESULT
from pipeline.terminal.display import Display
from trainer.tuning.search_space import check_settings


def run(config: RunConfig, *, log: Path, progress: Display, beam: BeamArgs = BEAM) -> RunResult:
    """Run the pipeline; steps that an earlier run finished on the same data, dataset file and code are cached.

    The caller holds the folder's lock (`run_record.run_lock`).

    Args:
        config: of the run.
        log: file that the steps' own output goes to.
        progress: displays the state of the steps.
        beam: where the steps on Beam run. Workers on other machines must see `config.root` and the data by the same
            paths.

    Raises:
        DatasetFileError: the model's settings or the gates are invalid.
        InputError: the data isn't as the dataset file says.
        RunError: a step failed.
    """
    store = connection(config.metadata)
    relocate_artifacts(store, config.artifacts)
    clean_up_interrupted(store, config.artifacts)
    dataset = parse_dataset(config.dataset)
    check_settings(dataset)  # A fault in the model's settings is reported now, not when training begins.
    code = code_version(LEARNING)
    inputs = inputs_before(config.record, config.run_id) or input_digest(dataset, config.data_root)
    data = _data_digest(config, inputs)
    fingerprint = _digest(data, config.dataset)
    key = _digest(fingerprint, code, config.data_root, config.training_start)
    pinned = pin(config.record, key, config.releases, run_id=config.run_id, inputs=inputs if config.run_id else "")
    pipeline = create_pipeline(
        GraphConfig(
            name=config.name,
            root=str(config.artifacts),
            dataset=config.dataset,
            data_root=config.data_root,
            push_destination=str(config.root),
            champion=pinned.champion,
            fingerprint=fingerprint,
            code=code,
            attempt=pinned.attempt,
            data_until=config.data_until,
            training_start=config.training_start,
            trials=str(config.trials / _digest(data, code)[:20]),
            beam_args=beam.steps,
            ingestion_beam_args=beam.ingestion,
            metadata=store,
        )
    )
    steps = run_locally(pipeline, store=store, run_id=datetime.now(UTC).isoformat(), log=log, progress=progress)
    progress.begin("Report")
    result = _result(config, steps, log=log)
    write_atomically(config.html, render_page(result))
    write_result(result, config.last)
    write_atomically(config.record, json.dumps(asdict(replace(pinned, released=result.release))))
    progress.end("done")
    return result


def ingestion_fingerprint(config: RunConfig) -> str:
    """Digest what the result of a new run's ingestion depends on."""
    return _digest(_data_digest(config, input_digest(parse_dataset(config.dataset), config.data_root)), config.dataset)


def _data_digest(config: RunConfig, inputs: str) -> str:
    return _digest(inputs, code_version(INGESTION), config.data_until)


def _result(config: RunConfig, steps: tuple[Step, ...], *, log: Path) -> RunResult:
    outputs = {step.name: step.outputs for step in steps}
    result = parse_result(Path(outputs["SliceReport"]["report"].uri, RESULT).read_text(encoding="utf-8"))
    return replace(
        result,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        places={
            "model": serving_model_path(outputs["Trainer"]["model"].uri),
            **({} if result.release is None else {"release": str(config.releases / str(result.release))}),
            "releases": str(config.releases),
            "report": str(config.html),
            "lineage": str(Path(outputs["SliceReport"]["report"].uri, LINEAGE)),
            "feature state": outputs["EventExampleGen"]["state"].uri,
            "log": str(log),
        },
        steps=tuple(StepTime(step.name, step.state, round(step.seconds, 3)) for step in steps),
    )


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
