"""Read why a step failed or doesn't start, and its log, from the Argo workflow behind a run.

API v2beta1 has fields for a task's error and its pod, which no server fills (kubeflow/pipelines#14007). The workflow
has both, and the older API v1beta1, which servers of 2.x still offer, returns it. Where it doesn't, nothing is known.
"""

import base64
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from components.contract.errors import KubeflowError
from pipeline.kubeflow.submit.client import Kubeflow

_FAILED = ("Failed", "Error")
_DRIVER = "-driver"
# Log lines of KFP's launcher and driver and of Argo's wrapper, which surround a step's own.
_NOISE = re.compile(r"^([IWEF]\d{4} |time=\S+ level=|\d{4}/\d\d/\d\d )")
_KEPT_LINES = 12
_POD_PATCH, _EXECUTOR_INPUT = "pod-spec-patch", "--executor_input"


@dataclass(frozen=True)
class Failure:
    """A failed step, with the reason.

    Attributes:
        step: its name; "" for the run itself.
        message: from Kubernetes or the server.
        log: last lines of its log.
    """

    step: str
    message: str
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pod:
    """A step's pod, as Argo reports it."""

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
    pods: tuple[Pod, ...]  # in the order of their start
    inputs: tuple[dict[str, Any], ...] = ()  # metadata of each input artifact of a step

    def failures(self, client: Kubeflow) -> tuple[Failure, ...]:
        """Return each failed step once, with the end of its last attempt's log."""
        last = {pod.step: pod for pod in self.pods if pod.step}  # a failed attempt may have been followed by a successful one
        return tuple(Failure(step, pod.message, _log_tail(self.log(client, pod))) for step, pod in last.items() if pod.failed)

    @property
    def waits(self) -> str:
        """What its pending containers wait for, such as a node with a GPU, or an image; "" if none is pending."""
        return "; ".join(f"{pod.step} waits: {pod.message}" for pod in self.pods if pod.step and pod.pending and pod.message)

    def log(self, client: Kubeflow, pod: Pod) -> str:
        """Return a pod's log, "" where it has been removed. The UI and the API have an address each."""
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


def read_workflow(client: Kubeflow, run_id: str, names: Sequence[str]) -> Workflow | None:
    """Return the workflow behind a run; None where the server doesn't return it.

    Args:
        client: of the server.
        run_id: of the run.
        names: of the pipeline's steps.
    """
    try:
        runtime = client.json(f"/apis/v1beta1/runs/{run_id}").get("pipeline_runtime") or {}
        manifest = json.loads(runtime.get("workflow_manifest") or "{}")
    except (KubeflowError, ValueError):
        return None
    nodes = _nodes(manifest.get("status") or {})
    metadata = manifest.get("metadata") or {}
    if not nodes:
        return None
    pods = tuple(_pods(nodes, str(metadata.get("name", "")), set(names)))
    return Workflow(run_id, str(metadata.get("namespace", "")), pods, tuple(_inputs(nodes)))


def _nodes(status: dict[str, Any]) -> dict[str, Any]:
    """Return a workflow's nodes, which Argo compresses in a workflow larger than a megabyte."""
    nodes = status.get("nodes") or {}
    if not nodes and (packed := status.get("compressedNodes")):
        try:
            nodes = json.loads(gzip.decompress(base64.b64decode(packed)))
        except (ValueError, OSError, EOFError, zlib.error):
            return {}
    return dict(nodes)


def _inputs(nodes: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the metadata of the steps' input artifacts, from the container command that each step's driver outputs."""
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
                executor_input: dict[str, Any] = json.loads(command[command.index(_EXECUTOR_INPUT) + 1])
                return executor_input
    except (ValueError, KeyError, TypeError, IndexError):
        pass  # a driver of another release; the outcome is read from another source
    return {}


def _pods(nodes: dict[str, Any], workflow_name: str, names: set[str]) -> Iterator[Pod]:
    def owner(key: str) -> str:
        """Return the step of a pod: the one whose driver it is, or in whose part of the workflow it is."""
        name = str(nodes[key].get("displayName", ""))
        if name.endswith(_DRIVER):
            return name.removesuffix(_DRIVER) if name.removesuffix(_DRIVER) in names else ""
        while key in nodes:
            if (name := str(nodes[key].get("displayName", ""))) in names:
                return name
            key = str(nodes[key].get("boundaryID", ""))
        return ""

    started = sorted(nodes, key=lambda key: str(nodes[key].get("startedAt", "")))
    for key in started:
        node = nodes[key]
        if node.get("type") == "Pod":
            phase = node.get("phase")
            message = str(node.get("message", ""))
            yield Pod(owner(key), _pod_name(node, workflow_name), phase in _FAILED, message, pending=phase == "Pending")


def _pod_name(node: dict[str, Any], workflow_name: str) -> str:
    """Return Argo's name of a pod: workflow, template, and the hash at the end of the node's id."""
    return f"{workflow_name}-{node.get('templateName', '')}-{str(node.get('id', '')).rsplit('-', 1)[-1]}"


def _log_tail(log: str) -> tuple[str, ...]:
    lines = [line.rstrip() for line in log.splitlines() if line.strip() and not _NOISE.match(line)]
    return tuple(lines[-_KEPT_LINES:])
