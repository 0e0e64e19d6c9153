"""Compile the pipeline to the documents that Kubeflow Pipelines reads."""

import re
from dataclasses import dataclass
from typing import Any

import yaml
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import KubeflowV2DagRunner, KubeflowV2DagRunnerConfig

from components.contract.base_model import closest
from components.contract.errors import ClusterFileError
from components.contract.load import parse_dataset
from pipeline.beam.presets import beam_args
from pipeline.graph import GraphConfig, create_pipeline
from pipeline.kubeflow.compile.beam_volumes import beam_settings
from pipeline.kubeflow.compile.cluster import LEARNING_STEPS, Cluster, Step
from pipeline.kubeflow.compile.package import topological_order
from pipeline.kubeflow.compile.parameters import (
    DATA_ROOT,
    DATA_UNTIL,
    PUSH_DESTINATION,
    TRAINING_START,
    TRAINING_STEPS,
    Parameter,
    parameters,
)
from pipeline.kubeflow.compile.spec_patches import Document, containers, patch_spec, platform_spec
from pipeline.kubeflow.compile.spec_validation import check
from pipeline.results.fingerprint import LEARNING, code_version
from trainer.tuning.search_space import check_settings

ENTRYPOINT = ("python", "-m", "pipeline.kubeflow.step.entrypoint")
_NEWEST = -1


@dataclass(frozen=True)
class Compiled:
    """A pipeline that the API server accepts.

    Attributes:
        spec: the PipelineSpec 2.1.0.
        platform: the Kubernetes settings of its steps.
        parameters: its runtime parameters.
    """

    spec: Document
    platform: Document
    parameters: tuple[Parameter, ...]

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return str(self.spec["pipelineInfo"]["name"])

    def steps(self, cluster: Cluster) -> dict[str, Document]:
        """Return each step's image, memory, GPUs, retries, time-out and whether it is cached, in topological order."""
        tasks, by_step = self.spec["root"]["dag"]["tasks"], dict(containers(self.spec))
        return {name: self._step(tasks[name], by_step[name], cluster.step(name)) for name in topological_order(tasks)}

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
        """Return both documents; equal pipelines give equal text."""
        return "---\n".join(
            yaml.dump(each, Dumper=_Dumper, sort_keys=True, width=10_000, allow_unicode=True) for each in (self.spec, self.platform)
        )


class _Dumper(yaml.SafeDumper):
    """Quotes text that the server's reader, of a newer YAML version, could take for a number; keeps line breaks."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Represent text that begins like a number in quotes, and text of several lines as a block."""
        style = '"' if re.match(r"[-+.]?\d", text) else "|" if "\n" in text else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


def compile_pipeline(dataset: str, cluster: Cluster) -> Compiled:
    """Compile the pipeline of a dataset for a cluster. The data needn't be accessible.

    Args:
        dataset: the dataset file's text.
        cluster: with an image (`cluster.with_overrides`).

    Raises:
        DatasetFileError: the dataset file is invalid.
        ClusterFileError: the cluster file names an unknown step, or the API server would refuse the pipeline.
    """
    shop = parse_dataset(dataset)
    check_settings(shop)
    name = shop.name.strip("_").replace("_", "-")
    runtime_parameters = {each.name: each for each in parameters(data_root=cluster.data, push_destination=cluster.store)}
    beam = beam_args(beam_settings(cluster))
    pipeline = create_pipeline(
        GraphConfig(
            name=name,
            root=cluster.pipeline_root or "",
            dataset=dataset,
            data_root=runtime_parameters[DATA_ROOT].placeholder(),
            push_destination=runtime_parameters[PUSH_DESTINATION].placeholder(),
            champion=_NEWEST,
            fingerprint=None,  # the files are listed when the pipeline runs
            code=code_version(LEARNING),
            checkpoints=cluster.checkpoint_folder,
            publish_state=True,
            data_until=runtime_parameters[DATA_UNTIL].placeholder(),
            training_steps=runtime_parameters[TRAINING_STEPS].placeholder(),
            training_start=runtime_parameters[TRAINING_START].placeholder(),
            image=cluster.image(""),
            beam_args=beam.steps,
            ingestion_beam_args=beam.ingestion,
        )
    )
    _check_step_names(cluster, tuple(component.id for component in pipeline.components))
    images: dict[str, Any] = {component.id: cluster.image(component.id) for component in pipeline.components}
    config = KubeflowV2DagRunnerConfig(
        default_image=images | {"default_image_path": cluster.images.pipeline},
        default_commands=list(ENTRYPOINT),
        use_pipeline_spec_2_1=True,
    )
    job = KubeflowV2DagRunner(config).run(pipeline, write_out=False)
    beam_steps = {each.id for each in pipeline.components if isinstance(each.executor_spec, BeamExecutorSpec)}
    spec = patch_spec(job["pipelineSpec"], cluster, tuple(runtime_parameters.values()), beam_steps=beam_steps)
    kubernetes = platform_spec(spec, cluster)
    check(spec, kubernetes)
    return Compiled(spec, kubernetes, tuple(runtime_parameters.values()))


def _check_step_names(cluster: Cluster, steps: tuple[str, ...]) -> None:
    keys = dict.fromkeys(cluster.steps, "steps") | dict.fromkeys(cluster.gpu.steps if cluster.gpu else (), "gpu.steps")
    # That a graph has no Tuner is the dataset file's choice, and one cluster file serves many.
    known = (*steps, *LEARNING_STEPS)
    faults = [f"{key}: no step {name!r}; {closest(name, steps)}" for name, key in keys.items() if name not in known]
    if faults:
        raise ClusterFileError("\n".join(faults))
