"""Read, relocate and clean up runs in TFX's metadata store."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from ml_metadata.proto.metadata_store_pb2 import ConnectionConfig, Event, Execution
from tfx.orchestration.metadata import Metadata, sqlite_metadata_connection_config


@dataclass(frozen=True)
class Output:
    """An output artifact of a step: its address and properties."""

    uri: str
    properties: dict[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True)
class StepRecord:
    """A step's execution in a run: its last state, and its outputs by key."""

    state: str
    outputs: dict[str, Output]


def connection(path: Path) -> ConnectionConfig:
    """Return the connection to the SQLite store in a file; its folder is made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return sqlite_metadata_connection_config(str(path))


def step_record(store: ConnectionConfig, run_id: str, step: str) -> StepRecord | None:
    """Return the record of a step in a run; None if it never began."""
    with Metadata(store) as opened:
        run = opened.store.get_context_by_type_and_name("pipeline_run", run_id)
        for execution in opened.store.get_executions_by_context(run.id) if run else ():
            contexts = opened.store.get_contexts_by_execution(execution.id)
            if any(context.type == "node" and context.name.endswith(f".{step}") for context in contexts):
                return StepRecord(Execution.State.Name(execution.last_known_state), _outputs(opened, execution.id))
    return None


def relocate_artifacts(store: ConnectionConfig, artifacts: Path) -> int:
    """Update the artifacts' addresses after the run's folder was moved or copied, and return how many changed.

    TFX records absolute paths, and the cache would return those of the folder that this one was copied from.
    """
    with Metadata(store) as opened:
        relocated = []
        for artifact in opened.store.get_artifacts():
            _, _, within = artifact.uri.rpartition(f"/{artifacts.name}/")
            if within and artifact.uri != (new_path := str(artifacts / within)) and Path(new_path).exists():
                artifact.uri = new_path
                relocated.append(artifact)
        opened.store.put_artifacts(relocated)
    return len(relocated)


def clean_up_interrupted(store: ConnectionConfig, artifacts: Path) -> int:
    """Mark what killed runs left running as failed, remove its partial outputs, and return the number of executions.

    Call it only while no other run uses the folder. Such leftovers are never taken for results, since the cache returns
    complete executions only; they would just take space.
    """
    with Metadata(store) as opened:
        unfinished = [
            execution for execution in opened.store.get_executions() if execution.last_known_state in (Execution.NEW, Execution.RUNNING)
        ]
        for execution in unfinished:
            for leftover in [*artifacts.glob(f"*/*/{execution.id}"), *artifacts.glob(f"*/.system/executor_execution/{execution.id}")]:
                shutil.rmtree(leftover)
            execution.last_known_state = Execution.FAILED
        opened.store.put_executions(unfinished)
    for folder in artifacts.glob("*/.system/stateful_working_dir/*"):
        shutil.rmtree(folder)
    return len(unfinished)


def _outputs(opened: Metadata, execution_id: int) -> dict[str, Output]:
    events = [event for event in opened.store.get_events_by_execution_ids([execution_id]) if event.type == Event.OUTPUT]
    artifacts = {artifact.id: artifact for artifact in opened.store.get_artifacts_by_id([event.artifact_id for event in events])}
    outputs = {}
    for event in events:
        artifact = artifacts[event.artifact_id]
        values = {**artifact.properties, **artifact.custom_properties}
        properties = {
            name: getattr(value, value.WhichOneof("value")) for name, value in values.items() if value.WhichOneof("value") in _PLAIN
        }
        outputs[event.path.steps[0].key] = Output(artifact.uri, properties)
    return outputs


_PLAIN = ("string_value", "int_value", "double_value")
