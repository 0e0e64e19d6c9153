"""Refresh the release in force: ingest the log, train its weights on the newest requests, and publish what changed."""

import json
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from components.contract.errors import InputError, RefusedModel
from components.contract.load import parse_dataset
from components.release.labels import in_force
from components.release.manifest import Manifest, read_manifest
from components.release.publish import publish
from pipeline.beam.presets import BeamArgs
from pipeline.config import RunConfig
from pipeline.graph import GraphConfig, create_ingestion
from pipeline.local.run import ingestion_fingerprint
from pipeline.local.runner import BEAM, run_locally
from pipeline.results.metadata import clean_up_interrupted, connection, relocate_artifacts
from pipeline.terminal.display import Display
from trainer.config import ranker_config
from trainer.refresh.held_out import Comparison, compare
from trainer.refresh.refresh import refresh as train_refresh
from trainer.refresh.weight_delta import apply_delta, read_delta, write_delta
from trainer.warm_start.champion_weights import write_trained_until

DELTAS = "deltas"
"""Folder below the root of a shop's runs, with a file for each refreshed release."""


@dataclass(frozen=True)
class Refreshed:
    """A refreshed release.

    Attributes:
        release: its version.
        base: the version whose weights were trained further.
        delta: file of what changed.
        delta_bytes: its size.
        rows: number of changed embedding rows.
        new_requests: requests that were new to the base.
        sentence: of the comparison on those held out.
        seconds: of each stage.
    """

    release: int
    base: int
    delta: Path
    delta_bytes: int
    rows: int
    new_requests: int
    sentence: str
    seconds: dict[str, float]


def refresh(config: RunConfig, *, window_s: float | None, log: Path, progress: Display, beam: BeamArgs = BEAM) -> Refreshed:
    """Publish a release with weights that also know the newest requests.

    The caller holds the folder's lock (`run_record.run_lock`).

    Args:
        config: of the shop's runs; `data_until` is heeded.
        window_s: see `trainer.refresh.refresh.refresh`.
        log: file that the steps' own output goes to.
        progress: displays the stages.
        beam: where ingestion runs.

    Raises:
        InputError: there is no trained release, too few requests are new to it, or the data isn't as the dataset file says.
        RefusedModel: the changed weights are worse on new requests held out.
        RunError: ingestion failed.
    """
    base = in_force(config.releases)
    if base is None:
        raise InputError(f"{config.releases}: expected a release to refresh, there is none; make one with `shelfrank run`")
    model = config.releases / str(base)
    shop = parse_dataset(config.dataset)
    began = time.perf_counter()
    outputs = _ingest(config, log=log, progress=progress, beam=beam)
    seconds = {"ingestion": time.perf_counter() - began}
    with TemporaryDirectory(dir=config.root) as work:
        progress.begin("Refresh")
        files = [f"{outputs['examples']}/Split-*/*"]
        made = train_refresh(str(model), files, work, dataset=shop, config=ranker_config(shop), window_s=window_s)
        seconds["training"] = time.perf_counter() - began - sum(seconds.values())
        unfinished = Path(work, "weights.delta")
        write_delta(made.delta, unfinished)
        built = build(model, unfinished, Path(work, "model"))
        seconds["building"] = time.perf_counter() - began - sum(seconds.values())
        comparison = compare(str(model), str(built), [made.held_out], dataset=shop)
        seconds["comparison"] = time.perf_counter() - began - sum(seconds.values())
        if comparison.worse:
            progress.end("failed")
            raise RefusedModel(f"the refreshed weights were refused, nothing was released: {comparison.sentence}")
        window = json.loads(Path(outputs["report"], "report.json").read_text(encoding="utf-8"))["window"]
        released = publish(built, config.releases, _manifest(read_manifest(model), comparison, window))
        delta = config.root / DELTAS / f"{released.version}.delta"
        delta.parent.mkdir(exist_ok=True)
        unfinished.replace(delta)
        seconds["publishing"] = time.perf_counter() - began - sum(seconds.values())
        progress.end("done")
    return Refreshed(
        release=released.version,
        base=base,
        delta=delta,
        delta_bytes=delta.stat().st_size,
        rows=sum(len(at) for at, _ in made.delta.rows.values()),
        new_requests=made.new_requests,
        sentence=comparison.sentence,
        seconds={name: round(value, 2) for name, value in seconds.items()},
    )


def build(base: Path, delta: Path, target: Path) -> Path:
    """Build the model that a delta's file makes of its base, in a new folder, and return that.

    Raises:
        InputError: the delta applies to another model, or is damaged.
    """
    read = read_delta(delta)
    apply_delta(base, read, target)
    write_trained_until(str(target), int(read.notes["trained_until_us"]))
    return target


def _ingest(config: RunConfig, *, log: Path, progress: Display, beam: BeamArgs) -> dict[str, str]:
    """Read the log as a run would, and return the outputs' folders by name; a run on the same log takes it from the cache."""
    store = connection(config.metadata)
    relocate_artifacts(store, config.artifacts)
    clean_up_interrupted(store, config.artifacts)
    graph = GraphConfig(
        name=config.name,
        root=str(config.artifacts),
        dataset=config.dataset,
        data_root=config.data_root,
        push_destination=str(config.root),
        champion=0,
        fingerprint=ingestion_fingerprint(config),
        code="",
        data_until=config.data_until,
        ingestion_beam_args=beam.ingestion,
        metadata=store,
    )
    (step,) = run_locally(create_ingestion(graph), store=store, run_id=datetime.now(UTC).isoformat(), log=log, progress=progress)
    return {name: output.uri for name, output in step.outputs.items()}


def _manifest(base: Manifest, comparison: Comparison, window: dict[str, Any]) -> Manifest:
    """Return the manifest of a refreshed release; of metrics there is only what was measured."""
    return replace(
        base,
        created_us=time.time_ns() // 1000,
        data_window=window,
        metrics={"auc": comparison.refreshed},
        verdict=(f"Passed: {comparison.sentence}",),
        rehearsal=None,
        base=base.base or base.version,
    )
