"""Write the pipeline as a job for Vertex AI Pipelines, which reads the PipelineSpec and has no Kubernetes settings."""

import json
import re
from collections.abc import Iterator

from components.contract.errors import ClusterFileError
from pipeline.kubeflow.compile.cluster import Cluster
from pipeline.kubeflow.compile.compile import Compiled

_MAX_DISPLAY_NAME = 128  # in characters
_ACCELERATOR = re.compile(r"NVIDIA_[A-Z0-9_]+|TPU_[A-Z0-9_]+")


def job(compiled: Compiled, cluster: Cluster) -> str:
    """Return the text of a PipelineJob; equal pipelines give equal text.

    Raises:
        ClusterFileError: the cluster file has settings that Vertex AI doesn't support.
    """
    if faults := [*_faults(cluster)]:
        raise ClusterFileError("\n".join(f"--vertex: {fault}" for fault in faults))
    document = {
        "displayName": compiled.name[:_MAX_DISPLAY_NAME],
        "labels": {"made-by": "shelfrank"},
        "pipelineSpec": compiled.spec,
        "runtimeConfig": {
            "gcsOutputDirectory": cluster.pipeline_root,
            "parameterValues": {parameter.name: parameter.default for parameter in compiled.parameters},
        },
    }
    return json.dumps(document, sort_keys=True, ensure_ascii=False, indent=1) + "\n"


def _faults(cluster: Cluster) -> Iterator[str]:
    if cluster.volumes:
        yield "expected `volumes: []`, got some; Vertex AI mounts no claims, a bucket takes their place"
    for name, value in (
        ("pipeline_root", cluster.pipeline_root),
        ("push_destination", cluster.push_destination),
        ("data_root", cluster.data_root),
        ("checkpoints", cluster.checkpoints),
    ):
        optional = name in ("data_root", "checkpoints") and value is None
        if not optional and not (value or "").startswith("gs://"):
            yield f"expected `{name}` in a bucket, gs://BUCKET/FOLDER, got {value or 'none'}; nothing else outlives a step there"
    if cluster.gpu and not _ACCELERATOR.fullmatch(cluster.gpu.type):
        yield f"expected `gpu.type` as Vertex AI has it, such as NVIDIA_TESLA_T4 or NVIDIA_L4, got {cluster.gpu.type}"
    steps = (cluster.default, *cluster.steps.values())
    kubernetes_only = {
        "pull": cluster.pull.policy or cluster.pull.secrets,
        "secrets": cluster.secrets,
        "gpu.node_selector": cluster.gpu and cluster.gpu.node_selector,
        "node_selector": any(step.node_selector for step in steps),
        "tolerations": any(step.tolerations for step in steps),
        "timeout": any(step.timeout for step in steps),
    }
    for name, setting in kubernetes_only.items():
        if setting:
            yield f"`{name}` is Kubernetes' alone, and would have no effect; leave it out"
