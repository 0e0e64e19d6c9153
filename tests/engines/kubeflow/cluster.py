"""Kubernetes' part of the backend: its address, and what an installation of Kubeflow would have created in it."""

import json
import subprocess
from pathlib import Path
from typing import Any

NAMESPACE, TOKEN, PORT = "kubeflow", "test", 16443
OBJECTS, BUCKET = 19000, "mlpipeline"
_EXECUTOR = "imagePullPolicy: IfNotPresent\n"  # Argo's reader needs the line to end
_ARGO = {
    **{"workflows": "Workflow", "workflowtemplates": "WorkflowTemplate", "cronworkflows": "CronWorkflow"},
    **{"clusterworkflowtemplates": "ClusterWorkflowTemplate", "workflowtaskresults": "WorkflowTaskResult"},
    **{"workflowtasksets": "WorkflowTaskSet", "workfloweventbindings": "WorkflowEventBinding"},
    **{"workflowartifactgctasks": "WorkflowArtifactGCTask"},
}


def create_resources(source: Path) -> None:
    """Create what an installation of Kubeflow would have in Kubernetes."""
    anything: dict[str, Any] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"openAPIV3Schema": anything | {"properties": {"spec": anything, "status": anything}}}
    kinds = [
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.argoproj.io"},
            "spec": {
                "group": "argoproj.io",
                "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
                "scope": "Cluster" if plural.startswith("cluster") else "Namespaced",
                "versions": [{"name": "v1alpha1", "served": True, "storage": True, "schema": schema}],
            },
        }
        for plural, kind in _ARGO.items()
    ]
    keys = {"accesskey": "minio", "secretkey": "minio123"}
    secret = {"secretName": "mlpipeline-minio-artifact", "accessKeyKey": "accesskey", "secretKeyKey": "secretkey"}
    # By address: the server takes a host name with a dot in it for a bucket.
    place = {"endpoint": f"127.0.0.1:{OBJECTS}", "region": "us-east-1", "disableSSL": True, "forcePathStyle": True}
    provider = {"default": place | {"credentials": {"fromEnv": False, "secretRef": secret}}}
    launcher = {
        "defaultPipelineRoot": f"minio://{BUCKET}/v2/artifacts",
        "providers": json.dumps({"minio": provider, "s3": provider}),
    }
    namespaced: list[dict[str, Any]] = [
        {"kind": "Secret", "metadata": {"name": secret["secretName"]}, "stringData": keys},
        {"kind": "ServiceAccount", "metadata": {"name": "pipeline-runner"}},
        {
            "kind": "ConfigMap",
            "metadata": {"name": "workflow-controller-configmap"},
            "data": {"executor": _EXECUTOR},
        },
        {"kind": "ConfigMap", "metadata": {"name": "kfp-launcher"}, "data": launcher},
    ]
    kubectl("create", "namespace", NAMESPACE)
    schedules = source / "manifests/kustomize/base/pipeline/cluster-scoped/scheduled-workflow-crd.yaml"
    kubectl("apply", "--server-side", "-f", str(schedules))
    for each in (*kinds, *({"apiVersion": "v1", **each} for each in namespaced)):
        kubectl("apply", "-f", "-", given=json.dumps(each))


def kubeconfig() -> dict[str, Any]:
    """Return a client's configuration."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{PORT}", "insecure-skip-tls-verify": True}}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": NAMESPACE}}],
        "current-context": "x",
    }


def kubectl(*arguments: str, given: str | None = None) -> str:
    """Return the output of kubectl, which reads `given`.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    server = ["kubectl", f"--server=https://127.0.0.1:{PORT}", "--insecure-skip-tls-verify", f"--token={TOKEN}", "-n", NAMESPACE]
    return subprocess.run([*server, *arguments], check=True, capture_output=True, text=True, input=given).stdout
