"""What the API of the runs doesn't tell: why a step failed or doesn't start, and what it wrote into its log.

API v2beta1 has fields for a task's error and its pod, which no server fills (kubeflow/pipelines#14007). The Argo workflow behind the
run has both, and the older API v1beta1, which the servers of 2.x still answer, hands it out. Where it doesn't, nothing is known.
"""

import base64
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from components.contract.errors import KubeflowError
from pipeline.kubeflow.submit.client import Kubeflow

_FAILED = ("Failed", "Error")
_DRIVER = "-driver"
# What KFP's launcher and driver, and Argo's own wrapper, write around the lines of a step.
_NOISE = re.compile(r"^([IWEF]\d{4} |time=\S+ level=|\d{4}/\d\d/\d\d )")
_KEPT_LINES = 12
_POD_PATCH, _EXECUTOR_INPUT = "pod-spec-patch", "--executor_input"


@dataclass(frozen=True)
class Failure:
    """Why a step failed.

    Attributes:
        step: its name; "" for the run itself.
        message: what Kubernetes or the server says of it.
        log: last lines that it wrote.
    """

    step: str
    message: str
    log: tuple[str, ...] = ()

    def shown(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Pod:
    """A container of a step, in the words of Argo."""

    step: str
    name: str
    failed: bool
    message: str
    pending: bool = False


@dataclass(frozen=True)
class Workflow:
    """The pods of a run."""

    run_id: str
    namespace: str
    pods: tuple[Pod, ...]  # in the order that they started in
    inputs: tuple[dict[str, Any], ...] = ()  # metadata of each artifact that a step was given

    def failures(self, client: Kubeflow) -> tuple[Failure, ...]:
        """Each step that failed, once, with the end of its last attempt's log."""
        last = {pod.step: pod for pod in self.pods if pod.step}  # an attempt that failed may have been followed by one that didn't
        return tuple(Failure(step, pod.message, _end(self.log(client, pod))) for step, pod in last.items() if pod.failed)

    @property
    def waits(self) -> str:
        """What its containers wait for before they start: a node with a GPU, an image; "" where they don't."""
        return "; ".join(f"{pod.step} waits: {pod.message}" for pod in self.pods if pod.step and pod.pending and pod.message)

    def log(self, client: Kubeflow, pod: Pod) -> str:
        """What a pod wrote; "" where it is gone. The UI and the API have an address each."""
        for path in (
            f"/k8s/pod/logs?podname={pod.name}&runid={self.run_id}&podnamespace={self.namespace}",
            f"/apis/v1alpha1/runs/{self.run_id}/nodes/{pod.name}/log",
        ):
            try:
                text = client.text(path)
            except KubeflowError:
                continue
            if text.strip() and not text.lstrip().startswith('{"error_message"'):
                return text
        return ""


def workflow(client: Kubeflow, run_id: str, names: Sequence[str]) -> Workflow | None:
    """The workflow behind a run; None where the server doesn't hand it out.

    Args:
        client: of the server.
        run_id: of the run.
        names: of the pipeline's steps.
    """
    try:
        runtime = client.json(f"/apis/v1beta1/runs/{run_id}").get("pipeline_runtime") or {}
        given = json.loads(runtime.get("workflow_manifest") or "{}")
    except (KubeflowError, ValueError):
        return None
    nodes = _nodes(given.get("status") or {})
    found = given.get("metadata") or {}
    if not nodes:
        return None
    pods = tuple(_pods(nodes, str(found.get("name", "")), set(names)))
    return Workflow(run_id, str(found.get("namespace", "")), pods, tuple(_inputs(nodes)))


def _nodes(status: dict[str, Any]) -> dict[str, Any]:
    """The nodes of a workflow, which Argo packs where the whole is longer than a megabyte; the API server doesn't unpack them."""
    nodes = status.get("nodes") or {}
    if not nodes and (packed := status.get("compressedNodes")):
        try:
            nodes = json.loads(gzip.decompress(base64.b64decode(packed)))
        except (ValueError, OSError, EOFError, zlib.error):
            return {}
    return dict(nodes)


def _inputs(nodes: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Metadata of what the steps were given: a step's driver writes the command of its container, with `ExecutorInput` in it."""
    for node in nodes.values():
        for parameter in (node.get("outputs") or {}).get("parameters") or ():
            if parameter.get("name") == _POD_PATCH:
                for listed in _executor_input(str(parameter.get("value", ""))).get("inputs", {}).get("artifacts", {}).values():
                    yield from (artifact.get("metadata") or {} for artifact in listed.get("artifacts", ()))


def _executor_input(patch: str) -> dict[str, Any]:
    try:
        for container in json.loads(patch)["containers"]:
            command = container.get("command") or []
            if _EXECUTOR_INPUT in command:
                found: dict[str, Any] = json.loads(command[command.index(_EXECUTOR_INPUT) + 1])
                return found
    except (ValueError, KeyError, TypeError, IndexError):
        pass  # a driver of another release; the outcome is looked for elsewhere
    return {}


def _pods(nodes: dict[str, Any], workflow_name: str, names: set[str]) -> Iterator[Pod]:
    def owner(key: str) -> str:
        """A pod is a step's driver, or lies within the part of the workflow that has the step's name."""
        shown = str(nodes[key].get("displayName", ""))
        if shown.endswith(_DRIVER):
            return shown.removesuffix(_DRIVER) if shown.removesuffix(_DRIVER) in names else ""
        while key in nodes:
            if (shown := str(nodes[key].get("displayName", ""))) in names:
                return shown
            key = str(nodes[key].get("boundaryID", ""))
        return ""

    started = sorted(nodes, key=lambda key: str(nodes[key].get("startedAt", "")))
    for key in started:
        node = nodes[key]
        if node.get("type") == "Pod":
            phase = node.get("phase")
            told = str(node.get("message", ""))
            yield Pod(owner(key), _pod_name(node, workflow_name), phase in _FAILED, told, pending=phase == "Pending")


def _pod_name(node: dict[str, Any], workflow_name: str) -> str:
    """As Argo makes it: workflow, template, and the hash at the end of the node's id."""
    return f"{workflow_name}-{node.get('templateName', '')}-{str(node.get('id', '')).rsplit('-', 1)[-1]}"


def _end(log: str) -> tuple[str, ...]:
    lines = [line.rstrip() for line in log.splitlines() if line.strip() and not _NOISE.match(line)]
    return tuple(lines[-_KEPT_LINES:])
