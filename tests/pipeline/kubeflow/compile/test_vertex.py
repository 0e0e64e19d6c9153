"""The same pipeline as a job for Vertex AI, which is refused what only Kubernetes has."""

import json
from pathlib import Path

import pytest
from google.protobuf.json_format import ParseDict
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineDeploymentConfig, PipelineJob, PipelineSpec

from components.contract.errors import ClusterFileError
from pipeline.kubeflow.compile.cluster import Cluster, load_cluster, parse_cluster, with_overrides
from pipeline.kubeflow.compile.compile import Compiled, compile_pipeline
from pipeline.kubeflow.compile.vertex import job

ROOT = Path(__file__).resolve().parents[4]
SHOP = (ROOT / "examples" / "simulated_shop.yaml").read_text(encoding="utf-8")
FILE = ROOT / "examples" / "cluster" / "vertex.yaml"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return with_overrides(load_cluster(FILE))


@pytest.fixture(scope="module")
def compiled(cluster: Cluster) -> Compiled:
    return compile_pipeline(SHOP, cluster)


def test_the_job_is_read_strictly_and_holds_the_very_pipeline(compiled: Compiled, cluster: Cluster) -> None:
    made = json.loads(job(compiled, cluster))
    read = ParseDict(made, PipelineJob())
    assert read.runtime_config.gcs_output_directory == "gs://my-bucket/pipelines"
    assert made["runtimeConfig"]["parameterValues"] == {
        "data_root": "gs://my-bucket/shelfrank/data",
        "push_destination": "gs://my-bucket/shelfrank",
        "data_until": "",
        "training_steps": 0,
        "training_start": "",
    }
    assert made["pipelineSpec"] == compiled.spec
    ParseDict(made["pipelineSpec"], PipelineSpec())
    ParseDict(made["pipelineSpec"]["deploymentSpec"], PipelineDeploymentConfig())
    assert made["pipelineSpec"]["deploymentSpec"]["executors"]["Trainer_executor"]["container"]["resources"]["accelerator"] == {
        "type": "NVIDIA_L4",
        "count": "1",
        "resourceType": "NVIDIA_L4",
        "resourceCount": "1",
    }


def test_the_same_pipeline_is_the_same_text(compiled: Compiled, cluster: Cluster) -> None:
    assert job(compiled, cluster) == job(compile_pipeline(SHOP, cluster), cluster)


@pytest.mark.slow
def test_googles_client_makes_a_job_of_it(compiled: Compiled, cluster: Cluster, tmp_path: Path) -> None:
    aiplatform = pytest.importorskip("google.cloud.aiplatform")
    from google.auth.credentials import AnonymousCredentials

    file = tmp_path / "pipeline.json"
    file.write_text(job(compiled, cluster), encoding="utf-8")
    made = aiplatform.PipelineJob(
        display_name="shop",
        template_path=str(file),
        parameter_values={"training_steps": 7},
        project="p",
        location="europe-west1",
        credentials=AnonymousCredentials(),
    )
    config = made._gca_resource.runtime_config
    assert dict(config.parameter_values)["training_steps"] == 7
    assert config.gcs_output_directory == "gs://my-bucket/pipelines"


BUCKET = "images: {pipeline: a, trainer: a}\npipeline_root: gs://b/p\npush_destination: gs://b/s\nvolumes: []\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("images: {pipeline: a}", "expected `volumes: []`, got some; Vertex AI mounts no claims"),
        ("images: {pipeline: a}", "expected `pipeline_root` in a bucket, gs://BUCKET/FOLDER, got none"),
        ("images: {pipeline: a}", "expected `push_destination` in a bucket, gs://BUCKET/FOLDER, got none"),
        (BUCKET + "data_root: /data", "expected `data_root` in a bucket, gs://BUCKET/FOLDER, got /data"),
        (BUCKET + "checkpoints: s3://b", "expected `checkpoints` in a bucket, gs://BUCKET/FOLDER, got s3://b"),
        (BUCKET + "gpu: {}", "expected `gpu.type` as Vertex AI has it, such as NVIDIA_TESLA_T4 or NVIDIA_L4, got nvidia.com/gpu"),
        (BUCKET + "gpu: {type: NVIDIA_L4, node_selector: {a: b}}", "`gpu.node_selector` is Kubernetes' alone"),
        (BUCKET + "pull: {secrets: [r]}", "`pull` is Kubernetes' alone"),
        (BUCKET + "secrets: [{name: s, env: {a: A}}]", "`secrets` is Kubernetes' alone"),
        (BUCKET + "default: {node_selector: {a: b}}", "`node_selector` is Kubernetes' alone"),
        (BUCKET + "steps: {Trainer: {tolerations: [{operator: Exists}]}}", "`tolerations` is Kubernetes' alone"),
        (BUCKET + "steps: {Trainer: {timeout: 1h}}", "`timeout` is Kubernetes' alone"),
    ],
)
def test_what_vertex_does_not_have_is_refused(compiled: Compiled, text: str, complaint: str) -> None:
    with pytest.raises(ClusterFileError) as raised:
        job(compiled, parse_cluster(text))
    assert complaint in str(raised.value)
    assert all(line.startswith("--vertex: ") for line in str(raised.value).splitlines())


def test_a_plain_bucket_is_enough(compiled: Compiled) -> None:
    assert json.loads(job(compiled, parse_cluster(BUCKET)))["displayName"] == "simulated-shop"
