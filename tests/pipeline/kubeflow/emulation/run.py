"""A run: the graph's steps, each as soon as those before it have ended."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal

import yaml

from pipeline.kubeflow.step.invocation import LOG_ARTIFACT
from tests.pipeline.kubeflow.emulation.backend import Backend
from tests.pipeline.kubeflow.emulation.compiled import Compiled, Step
from tests.pipeline.kubeflow.emulation.driver import Json, Outputs, executor_input, recorded, run_parameters, run_root
from tests.pipeline.kubeflow.emulation.launcher import launch
from tests.pipeline.kubeflow.emulation.pod import Cluster, StepFailed
from tests.pipeline.kubeflow.emulation.store import Store


@dataclass(frozen=True)
class Event:
    """What happens to a step's attempt, from 0; `text` says more of a failure, `process` is the container's while it runs."""

    step: str
    attempt: int
    kind: Literal["started", "done", "failed"]
    seconds: float = 0.0
    text: str = ""
    process: subprocess.Popen[bytes] | None = None


@dataclass(frozen=True)
class Run:
    """A run that has ended.

    Attributes:
        id: of the run.
        store: where its artifacts lie.
        finished: by step, what it left.
        types: by step and artifact, its type's title as the specification has it.
        failed: by step, why.
        seconds: by step, its last attempt's time.
    """

    id: str
    store: Store
    finished: dict[str, Outputs]
    types: dict[str, dict[str, str]]
    failed: dict[str, str]
    seconds: dict[str, float]

    def path(self, step: str, artifact: str) -> Path:
        """Where the store keeps an artifact."""
        return self.store.path(self.finished[step].artifacts[artifact]["uri"])

    def metadata(self, step: str, artifact: str) -> Json:
        """Its metadata."""
        metadata: Json = self.finished[step].artifacts[artifact]["metadata"]
        return metadata


@dataclass
class _Records:
    """What ML Metadata keeps of a run, in a file: a run that is tried again goes on from it."""

    file: Path
    finished: dict[str, Outputs] = field(default_factory=dict)

    def read(self) -> None:
        if self.file.exists():
            stored = json.loads(self.file.read_text(encoding="utf-8"))
            self.finished = {name: Outputs(**outputs) for name, outputs in stored.items()}

    def add(self, step: str, outputs: Outputs) -> None:
        self.finished[step] = outputs
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps({name: asdict(each) for name, each in self.finished.items()}, indent=1), encoding="utf-8")


@dataclass
class _Containers:
    """Those that run. Who interrupts the run ends them, and no further attempt begins."""

    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    stopped: bool = False

    @contextmanager
    def ended_with_us(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.stopped = True
            for process in self.running:
                if process.poll() is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
            raise


def execute(
    compiled: Compiled,
    cluster: Cluster,
    *,
    parameters: Mapping[str, Any] | None = None,
    pipeline_root: str | None = None,
    run_id: str = "run-1",
    backend: Backend = Backend(),  # noqa: B008 - frozen
    at_once: int = 2,
    on_event: Callable[[Event], None] = lambda _event: None,
) -> Run:
    """Runs a pipeline as far as it gets: a step that has failed as often as its retry policy lets it keeps the later ones from beginning.

    Nothing is taken from a cache. A run whose id was there before is tried again, as the button `Retry` does: what has finished stays.

    Args:
        compiled: the pipeline.
        cluster: what lies around the pods.
        parameters: those of the run that have no default, or shall have another value.
        pipeline_root: of the run's runtime configuration; None: the namespace's default.
        run_id: of the run.
        backend: whose driver and launcher they are.
        at_once: greatest number of pods that run at the same time.
        on_event: called at each attempt, from other threads.

    Raises:
        ValueError: the server would refuse the parameters, or the driver the root.
    """
    values = run_parameters(compiled.inputs, parameters or {})
    root = run_root(compiled, cluster, pipeline_root=pipeline_root, run_id=run_id)
    store, records = Store(cluster.folder / "store"), _Records(cluster.folder / "runs" / run_id / "finished.json")
    records.read()
    failed: dict[str, str] = {}
    seconds: dict[str, float] = {}
    numbers = count(1 + sum(len(outputs.artifacts) for outputs in records.finished.values()))
    running: dict[Future[tuple[dict[str, Json], Json]], tuple[Step, float]] = {}
    waiting = {name: step for name, step in compiled.steps.items() if name not in records.finished}
    containers = _Containers()
    with ThreadPoolExecutor(at_once) as workers, containers.ended_with_us():
        while waiting or running:
            # As in Argo, a step that failed keeps those from beginning that come after it, and no other.
            ready = [step for step in waiting.values() if _before(step) <= set(records.finished)]
            for step in ready[: at_once - len(running)]:
                del waiting[step.name]
                try:
                    step_input = executor_input(
                        step, values, records.finished, root=root, run_id=run_id, pod=_pod(cluster, run_id, step), backend=backend
                    )
                except ValueError as error:
                    failed[step.name] = f"{step.name}: failed to resolve inputs: {error}"
                    continue
                attempt = workers.submit(
                    _tried,
                    step,
                    step_input,
                    cluster=cluster,
                    backend=backend,
                    store=store,
                    root=root,
                    run_id=run_id,
                    containers=containers,
                    on_event=on_event,
                )
                running[attempt] = (step, time.perf_counter())
            if not running:
                if not ready:
                    break
                continue
            for ended in wait(running, return_when=FIRST_COMPLETED).done:
                step, began = running.pop(ended)
                seconds[step.name] = time.perf_counter() - began
                try:
                    artifacts, outputs = ended.result()
                    kept = {name: recorded(artifact, name=name, number=next(numbers)) for name, artifact in artifacts.items()}
                    records.add(step.name, Outputs(kept, outputs))
                except (StepFailed, ValueError) as error:
                    failed[step.name] = str(error)
    if not failed and waiting:
        raise ValueError(f"these steps wait for each other: {', '.join(sorted(waiting))}")
    return Run(run_id, store, records.finished, {name: _types(step, backend) for name, step in compiled.steps.items()}, failed, seconds)


def _tried(
    step: Step,
    executor_input: Json,
    *,
    cluster: Cluster,
    backend: Backend,
    store: Store,
    root: str,
    run_id: str,
    containers: _Containers,
    on_event: Callable[[Event], None],
) -> tuple[dict[str, Json], Json]:
    """As often as the step's retry policy says, without its pauses: with the same input and places, since only the pod is made again.

    Argo counts `backoffMaxDuration` from the start of the first attempt, the pauses with it; left out, it is zero.
    """
    policy, first, paused_s = step.task.retry_policy, time.perf_counter(), 0.0
    for attempt in count():
        began = time.perf_counter()
        log = cluster.folder / "runs" / run_id / "logs" / f"{step.name}-{attempt}.log"

        def started(process: subprocess.Popen[bytes], attempt: int = attempt) -> None:
            containers.running.append(process)
            on_event(Event(step.name, attempt, "started", process=process))

        try:
            made = launch(
                step,
                executor_input,
                cluster=cluster,
                backend=backend,
                store=store,
                root=root,
                pod=_pod(cluster, run_id, step),
                attempt=attempt,
                log=log,
                started=started,
            )
        except StepFailed as error:
            on_event(Event(step.name, attempt, "failed", time.perf_counter() - began, str(error)))
            paused_s += policy.backoff_duration.seconds * (policy.backoff_factor or 1.0) ** attempt
            over = time.perf_counter() - first + paused_s > policy.backoff_max_duration.seconds
            if attempt >= policy.max_retry_count or over or containers.stopped:
                raise
        else:
            on_event(Event(step.name, attempt, "done", time.perf_counter() - began))
            return made
    raise AssertionError("count() doesn't end")


def _before(step: Step) -> set[str]:
    sources = [each.task_output_artifact.producer_task for each in step.task.inputs.artifacts.values()]
    sources += [each.task_output_parameter.producer_task for each in step.task.inputs.parameters.values()]
    return {name for name in (*sources, *step.task.dependent_tasks) if name}


def _pod(cluster: Cluster, run_id: str, step: Step) -> Path:
    return cluster.folder / "pods" / f"{run_id}-{step.name}"


def _types(step: Step, backend: Backend) -> dict[str, str]:
    types = {LOG_ARTIFACT: "system.Artifact"} if backend.adds_log else {}
    for name, spec in step.component.output_definitions.artifacts.items():
        kind = spec.artifact_type
        types[name] = kind.schema_title or yaml.safe_load(kind.instance_schema)["title"]
    return types
