"""Remove what old runs have left in a run's folder: the artifacts and logs that none of the newest runs needs.

A release has its own copy of its model, so what serves and what a label may return to stays (`shelfrank releases prune`
is for those). TFX's cache takes a result only where its files are, so a run that would need a removed one makes it again.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ml_metadata.proto.metadata_store_pb2 import ConnectionConfig
from tfx.orchestration.metadata import Metadata

from components.contract.storage.store_layout import UNFINISHED
from components.release.retention import remove, size_of


@dataclass(frozen=True)
class Removed:
    """What was removed: folders of artifacts, logs, and the bytes of both."""

    artifacts: int
    logs: int
    bytes: int

    @property
    def sentence(self) -> str:
        """Say it."""
        return f"removed {self.artifacts} artifacts and {self.logs} logs of older runs, {self.bytes / 1e6:,.0f} MB"


def remove_old_runs(store: ConnectionConfig, artifacts: Path, logs: Path, *, keep: int) -> Removed:
    """Remove the artifacts that none of the newest runs made, read or took from the cache, and all but as many logs.

    Call it only while no other run uses the folder.

    Args:
        store: TFX's metadata store.
        artifacts: folder of the steps' outputs, `STEP/OUTPUT/EXECUTION/`.
        logs: folder of a log for each run, whose names are in the order of time.
        keep: how many runs; each attempt of a run that failed counts as one.
    """
    used = _used(store, keep)
    old = [
        folder
        for folder in artifacts.glob("*/*/*")
        if folder.name.isdecimal() and not any(path == folder or folder in path.parents for path in used)
    ]
    old_logs = sorted(logs.glob("run-*.log"))[:-keep]
    size = sum(map(size_of, old)) + sum(log.stat().st_size for log in old_logs)
    for folder in old:
        remove(folder)  # by a rename first: TFX's cache would take half a folder for a result
    for killed in artifacts.glob(f"*/*/{UNFINISHED}removed-*"):
        shutil.rmtree(killed)
    for log in old_logs:
        log.unlink()
    return Removed(len(old), len(old_logs), size)


def _used(store: ConnectionConfig, keep: int) -> set[Path]:
    """Return the addresses of all artifacts of the newest runs, inputs and outputs, from the cache or not."""
    with Metadata(store) as opened:
        runs = sorted(opened.store.get_contexts_by_type("pipeline_run"), key=lambda run: run.create_time_since_epoch)
        executions = [each.id for run in runs[-keep:] for each in opened.store.get_executions_by_context(run.id)]
        events = opened.store.get_events_by_execution_ids(executions)
        used = opened.store.get_artifacts_by_id(sorted({event.artifact_id for event in events}))
        return {Path(artifact.uri) for artifact in used}
