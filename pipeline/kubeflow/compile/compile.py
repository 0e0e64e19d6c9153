"""The graph as documents for Kubeflow Pipelines."""

import re
from dataclasses import dataclass
from typing import Any

import yaml
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import KubeflowV2DagRunner, KubeflowV2DagRunnerConfig

from components.contract.base_model import closest
from components.contract.errors import ClusterFileError
from components.contract.load import parse_dataset
from pipeline.beam.presets import beam_args
from pipeline.graph import create_pipeline
from pipeline.kubeflow.compile.beam_volumes import beam_settings
from pipeline.kubeflow.compile.cluster import LEARNING_STEPS, Cluster, Step
from pipeline.kubeflow.compile.package import ordered
from pipeline.kubeflow.compile.parameters import DATA_ROOT, DATA_UNTIL, PUSH_DESTINATION, TRAINING_STEPS, Parameter, parameters
from pipeline.kubeflow.compile.spec_patches import Document, containers, finished, platform
from pipeline.kubeflow.compile.spec_validation import check
from pipeline.results.fingerprint import LEARNING, code_version
from trainer.tuning.search_space import check_settings

ENTRYPOINT = ("python", "-m", "pipeline.kubeflow.step.entrypoint")
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

    def steps(self, cluster: Cluster) -> dict[str, Document]:
        """Each step, in the order in which they can run: its image, memory (asked for, or at most), GPUs, and whether it may be cached."""
        tasks, made = self.spec["root"]["dag"]["tasks"], dict(containers(self.spec))
        return {name: self._step(tasks[name], made[name], cluster.step(name)) for name in ordered(tasks)}

    @staticmethod
    def _step(task: Document, container: Document, step: Step) -> Document:
        accelerator = container.get("resources", {}).get("accelerator", {})
        return {
            "image": container["image"],
            "memory": step.memory or step.memory_limit,
            "gpu": int(accelerator.get("resourceCount", 0)),
            "retries": step.retries,
            "timeout_s": step.timeout,
            "cached": bool(task["cachingOptions"].get("enableCache")),
        }

    def to_yaml(self) -> str:
        """Both documents; the same pipeline is the same text."""
        return "---\n".join(
            yaml.dump(each, Dumper=_Dumper, sort_keys=True, width=10_000, allow_unicode=True) for each in (self.spec, self.platform)
        )


class _Dumper(yaml.SafeDumper):
    """Quotes what the server's reader, which follows a newer YAML than this writer, could take for a number; lines stay lines."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """A text, in quotes where it begins as a number does, in a block where it has lines."""
        style = '"' if re.match(r"[-+.]?\d", text) else "|" if "\n" in text else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


def compile_pipeline(dataset: str, cluster: Cluster) -> Compiled:
    """Compile the pipeline of a dataset for a cluster. The data needn't be within reach.

    Args:
        dataset: the dataset file's text.
        cluster: with an image (`cluster.chosen`).

    Raises:
        DatasetFileError: the dataset file can't be read as one.
        ClusterFileError: the cluster file speaks of a step that isn't there, or the API server would refuse the outcome.
    """
    shop = parse_dataset(dataset)
    check_settings(shop)
    name = shop.name.strip("_").replace("_", "-")
    offered = {each.name: each for each in parameters(data_root=cluster.data, push_destination=cluster.store)}
    beam = beam_args(beam_settings(cluster))
    pipeline = create_pipeline(
        name,
        cluster.pipeline_root or "",
        dataset=dataset,
        data_root=offered[DATA_ROOT].placeholder(),
        push_destination=offered[PUSH_DESTINATION].placeholder(),
        champion=_NEWEST,
        fingerprint="",  # Which files there are is known when the step runs; it isn't cached.
        code=code_version(LEARNING),
        checkpoints=cluster.checkpoint_folder,
        publish_state=True,
        data_until=offered[DATA_UNTIL].placeholder(),
        training_steps=offered[TRAINING_STEPS].placeholder(),
        image=cluster.image(""),
        beam_args=beam.steps,
        ingestion_beam_args=beam.ingestion,
    )
    _known(cluster, tuple(component.id for component in pipeline.components))
    images: dict[str, Any] = {component.id: cluster.image(component.id) for component in pipeline.components}
    config = KubeflowV2DagRunnerConfig(
        default_image=images | {"default_image_path": cluster.images.pipeline},
        default_commands=list(ENTRYPOINT),
        use_pipeline_spec_2_1=True,
    )
    job = KubeflowV2DagRunner(config).run(pipeline, write_out=False)
    spec = finished(job["pipelineSpec"], cluster, tuple(offered.values()))
    on_kubernetes = platform(spec, cluster)
    check(spec, on_kubernetes)
    return Compiled(spec, on_kubernetes, tuple(offered.values()))


def _known(cluster: Cluster, steps: tuple[str, ...]) -> None:
    told = dict.fromkeys(cluster.steps, "steps") | dict.fromkeys(cluster.gpu.steps if cluster.gpu else (), "gpu.steps")
    # That a graph has no Tuner is the dataset file's choice, and one cluster file serves many.
    faults = [f"{where}: no step {name!r}; {closest(name, steps)}" for name, where in told.items() if name not in (*steps, *LEARNING_STEPS)]
    if faults:
        raise ClusterFileError("\n".join(faults))
