"""A compiled pipeline: the two YAML documents, parsed as strictly as Kubeflow's server does."""

from dataclasses import dataclass
from pathlib import Path

import yaml
from google.protobuf import json_format
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec import pipeline_spec_pb2 as spec_pb2


@dataclass(frozen=True)
class Step:
    """A task of the graph with all that belongs to it."""

    name: str
    task: spec_pb2.PipelineTaskSpec
    component: spec_pb2.ComponentSpec
    container: spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec
    kubernetes: KubernetesExecutorConfig


@dataclass(frozen=True)
class Compiled:
    """A pipeline's name, root inputs and steps by name. Its `defaultPipelineRoot` is read by neither the server nor the driver."""

    name: str
    inputs: spec_pb2.ComponentInputsSpec
    steps: dict[str, Step]


def read(path: Path) -> Compiled:
    """Reads what the compiler wrote.

    Raises:
        json_format.ParseError: the server wouldn't know a field.
        NotImplementedError: something that this emulation doesn't run.
    """
    documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    spec = json_format.ParseDict(documents[0], spec_pb2.PipelineSpec())
    platform = json_format.ParseDict(documents[1] if documents[1:] else {}, spec_pb2.PlatformSpec())
    deployment = json_format.ParseDict(json_format.MessageToDict(spec.deployment_spec), spec_pb2.PipelineDeploymentConfig())
    on_kubernetes = json_format.MessageToDict(platform.platforms["kubernetes"].deployment_spec).get("executors", {})
    steps = {}
    for name, task in spec.root.dag.tasks.items():
        component = spec.components[task.component_ref.name]
        executor = deployment.executors[component.executor_label]
        if executor.WhichOneof("spec") != "container":
            raise NotImplementedError(f"{name}: the emulation runs containers alone, this is {executor.WhichOneof('spec') or 'a graph'}")
        if task.trigger_policy.condition or task.WhichOneof("iterator"):
            raise NotImplementedError(f"{name}: the emulation knows no conditions and no loops")
        kubernetes = json_format.ParseDict(on_kubernetes.get(component.executor_label, {}), KubernetesExecutorConfig())
        steps[name] = Step(name, task, component, executor.container, kubernetes)
    return Compiled(spec.pipeline_info.name, spec.root.input_definitions, steps)
