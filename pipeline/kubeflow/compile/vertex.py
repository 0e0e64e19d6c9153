"""The same pipeline as a job for Vertex AI Pipelines, which reads the PipelineSpec and knows nothing of Kubernetes."""

import json
import re
from collections.abc import Iterator

from components.contract.errors import ClusterFileError
from pipeline.kubeflow.compile.cluster import Cluster
from pipeline.kubeflow.compile.compile import Compiled

_DISPLAYED = 128  # characters of a job's name
_ACCELERATOR = re.compile(r"NVIDIA_[A-Z0-9_]+|TPU_[A-Z0-9_]+")


def job(compiled: Compiled, cluster: Cluster) -> str:
    """The text of a PipelineJob; the same pipeline is the same text.

    Raises:
        ClusterFileError: the cluster file asks for what Vertex AI doesn't have.
    """
    if found := [*_faults(cluster)]:
        raise ClusterFileError("\n".join(f"--vertex: {fault}" for fault in found))
    made = {
        "displayName": compiled.name[:_DISPLAYED],
        "labels": {"made-by": "shelfrank"},
        "pipelineSpec": compiled.spec,
        "runtimeConfig": {
            "gcsOutputDirectory": cluster.pipeline_root,
            "parameterValues": {parameter.name: parameter.default for parameter in compiled.parameters},
        },
    }
    return json.dumps(made, sort_keys=True, ensure_ascii=False, indent=1) + "\n"


def _faults(cluster: Cluster) -> Iterator[str]:
    if cluster.volumes:
        yield "expected `volumes: []`, got some; Vertex AI mounts no claims, a bucket takes their place"
    for name, told in (
        ("pipeline_root", cluster.pipeline_root),
        ("push_destination", cluster.push_destination),
        ("data_root", cluster.data_root),
        ("checkpoints", cluster.checkpoints),
    ):
        optional = name in ("data_root", "checkpoints") and told is None
        if not optional and not (told or "").startswith("gs://"):
            yield f"expected `{name}` in a bucket, gs://BUCKET/FOLDER, got {told or 'none'}; nothing else outlives a step there"
    if cluster.gpu and not _ACCELERATOR.fullmatch(cluster.gpu.type):
        yield f"expected `gpu.type` as Vertex AI has it, such as NVIDIA_TESLA_T4 or NVIDIA_L4, got {cluster.gpu.type}"
    steps = (cluster.default, *cluster.steps.values())
    told_of_kubernetes = {
        "pull": cluster.pull.policy or cluster.pull.secrets,
        "secrets": cluster.secrets,
        "gpu.node_selector": cluster.gpu and cluster.gpu.node_selector,
        "node_selector": any(step.node_selector for step in steps),
        "tolerations": any(step.tolerations for step in steps),
        "timeout": any(step.timeout for step in steps),
    }
    for name, given in told_of_kubernetes.items():
        if given:
            yield f"`{name}` is Kubernetes' alone, and would have no effect; leave it out"
