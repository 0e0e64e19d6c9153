"""Run the executor of a TFX component on an `ExecutorInput`, as TFX 1.21's container does.

TFX's own function for it (`_run_executor` of `kubeflow_v2_run_executor`) is private and imports every component.
"""

import json
from pathlib import Path
from typing import Any

from google.protobuf import json_format

Json = dict[str, Any]


def run_executor(class_path: str, executor_input: Json, declared: Json, beam_args: list[str]) -> Json:
    """Run an executor, and return its `ExecutorOutput`.

    Args:
        class_path: the executor's class.
        executor_input: as `invocation.to_executor_input` returns it.
        declared: the component's `ComponentInputsSpec`, with the types of its parameters.
        beam_args: options of the Beam runner; empty for a step without Beam.
    """
    # Imported here, after `light_imports.import_tfx`.
    from kfp.pipeline_spec import pipeline_spec_pb2
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.dsl.components.base.base_executor import BaseExecutor
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils as container
    from tfx.orchestration.portable.outputs_utils import tag_output_artifacts_with_version
    from tfx.utils.import_utils import import_class_by_path

    message = json_format.ParseDict(executor_input, pipeline_spec_pb2.ExecutorInput(), ignore_unknown_fields=True)
    spec = json_format.ParseDict(declared, pipeline_spec_pb2.ComponentInputsSpec(), ignore_unknown_fields=True)
    names: dict[int, str] = {}  # TFX's ids are numbers, Kubeflow's are names
    inputs = container.parse_raw_artifact_dict(message.inputs.artifacts, names)
    outputs = container.parse_raw_artifact_dict(message.outputs.artifacts, names)
    parameters = container.parse_execution_properties(message.inputs.parameter_values, message.inputs.parameters, spec)
    executor_class = import_class_by_path(class_path)
    folder = Path(message.outputs.output_file).parent
    workspace = {"unique_id": folder.name, "tmp_dir": str(folder / ".temp")}
    if issubclass(executor_class, BaseBeamExecutor):
        context: Any = BaseBeamExecutor.Context(beam_pipeline_args=beam_args, **workspace)
    else:
        context = BaseExecutor.Context(extra_flags=beam_args, **workspace)
    executor_class(context).Do(inputs, outputs, parameters)
    tag_output_artifacts_with_version(outputs)
    for blessing in outputs.get("blessing", []):
        container.refactor_model_blessing(blessing, names)
    artifacts = container.translate_executor_output(outputs, names)
    return {
        "artifacts": {name: json.loads(json_format.MessageToJson(listed)) for name, listed in artifacts.items()},
        # A value that a later step takes as a parameter is an artifact of the same name as well.
        "parameterValues": {name: outputs[name][0].read() for name in message.outputs.parameters},
    }
