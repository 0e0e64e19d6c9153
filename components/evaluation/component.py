"""`Evaluator`: TFX's, with all gates deciding its blessing."""

from pathlib import Path
from typing import Any

from tensorflow_model_analysis.proto.config_pb2 import EvalConfig
from tfx.components.evaluator import component as evaluator
from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as evaluator_executor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types import artifact_utils
from tfx.utils import proto_utils

from components.evaluation.gates.gate_result import check_gates
from components.evaluation.tfma.eval_config import gates_of
from components.evaluation.tfma.results import read_metrics


class Executor(evaluator_executor.Executor):
    """Evaluate as TFX does, then withdraw the blessing of a model that the gates as a whole refuse.

    TFMA's thresholds look at one slice at a time, so they don't correct for the number of slices that are tested.
    """

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:  # noqa: N802
        """Run TFX's executor, then the gates of the `eval_config` (`components.evaluation.tfma.eval_config`)."""
        super().Do(input_dict, output_dict, exec_properties)
        config = proto_utils.json_to_proto(exec_properties["eval_config"], EvalConfig())
        gates, slices = gates_of(config)
        if not check_gates(read_metrics(artifact_utils.get_single_uri(output_dict["evaluation"])), gates, slices=slices).passed:
            blessing = artifact_utils.get_single_instance(output_dict["blessing"])
            (Path(blessing.uri) / constants.BLESSED_FILE_NAME).unlink(missing_ok=True)
            (Path(blessing.uri) / constants.NOT_BLESSED_FILE_NAME).touch()
            blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, constants.NOT_BLESSED_VALUE)


class Evaluator(evaluator.Evaluator):
    """TFX's Evaluator, which blesses a model that passes all gates."""

    EXECUTOR_SPEC = BeamExecutorSpec(Executor)
