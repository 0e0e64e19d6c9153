"""The graph as documents for Kubeflow Pipelines."""

from dataclasses import dataclass
from typing import Any

import yaml
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import KubeflowV2DagRunner, KubeflowV2DagRunnerConfig

from components.contract.load import parse_dataset
from pipeline.fingerprint import LEARNING, code_version
from pipeline.graph import create_pipeline
from pipeline.kubeflow.cluster import Cluster
from pipeline.kubeflow.finish import Document, containers, finished, platform
from pipeline.kubeflow.parameters import DATA_ROOT, DATA_UNTIL, PUSH_DESTINATION, TRAINING_STEPS, Parameter, parameters
from pipeline.local import BEAM_ARGS
from trainer.space import check_settings

ENTRYPOINT = ("python", "-m", "pipeline.kubeflow.entrypoint")
_NEWEST = -1


@dataclass(frozen=True)
class Compiled:
    """A pipeline that the API server takes.

    Attributes:
        spec: the PipelineSpec 2.1.0.
        platform: what only Kubernetes knows of its steps.
        parameters: what a run can be started with.
    """

    spec: Document
    platform: Document
    parameters: tuple[Parameter, ...]

    @property
    def name(self) -> str:
        """Of the pipeline."""
        return str(self.spec["pipelineInfo"]["name"])

    @property
    def images(self) -> dict[str, str]:
        """Image of each step."""
        return {name: container["image"] for name, container in containers(self.spec)}

    def to_yaml(self) -> str:
        """Both documents; the same pipeline is the same text."""
        return "---\n".join(yaml.safe_dump(each, sort_keys=True, width=10_000) for each in (self.spec, self.platform))


def compile_pipeline(dataset: str, cluster: Cluster) -> Compiled:
    """Compile the pipeline of a dataset for a cluster. The data needn't be within reach.

    Args:
        dataset: the dataset file's text.
        cluster: with an image (`cluster.chosen`).

    Raises:
        DatasetFileError: the dataset file can't be read as one.
        ClusterFileError: the cluster file speaks of what isn't there.
    """
    shop = parse_dataset(dataset)
    check_settings(shop)
    name = shop.name.replace("_", "-")
    offered = {each.name: each for each in parameters(data_root=cluster.data, push_destination=cluster.store)}
    pipeline = create_pipeline(
        name,
        cluster.pipeline_root or "",
        dataset=dataset,
        data_root=offered[DATA_ROOT].placeholder(),
        releases=offered[PUSH_DESTINATION].placeholder(),
        champion=_NEWEST,
        fingerprint="",  # Which files there are is known when the step runs; it isn't cached.
        code=code_version(LEARNING),
        checkpoints=cluster.checkpoint_folder,
        data_until=offered[DATA_UNTIL].placeholder(),
        training_steps=offered[TRAINING_STEPS].placeholder(),
        beam_args=BEAM_ARGS,
    )
    images: dict[str, Any] = {component.id: cluster.image(component.id) for component in pipeline.components}
    config = KubeflowV2DagRunnerConfig(
        default_image=images | {"default_image_path": cluster.images.pipeline},
        default_commands=list(ENTRYPOINT),
        use_pipeline_spec_2_1=True,
    )
    job = KubeflowV2DagRunner(config).run(pipeline, write_out=False)
    spec = finished(job["pipelineSpec"], cluster, tuple(offered.values()))
    return Compiled(spec, platform(spec, cluster), tuple(offered.values()))
