"""`Trainer`: TFX's, with the number of steps as a parameter of its own."""

import json
from typing import Any

from tfx import types
from tfx.components.trainer import component, executor
from tfx.dsl.components.base import base_component
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.proto.trainer_pb2 import EvalArgs, TrainArgs
from tfx.types import standard_artifacts
from tfx.types.component_spec import ExecutionParameter
from tfx.types.standard_component_specs import TRAIN_ARGS_KEY, TrainerSpec
from tfx.utils import json_utils

_STEPS = "training_steps"


class Executor(executor.GenericExecutor):
    """Puts the number of steps where TFX has it: into `train_args`."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:  # noqa: N802
        """Train; see `trainer.run`."""
        given = dict(exec_properties)
        if steps := given.pop(_STEPS, 0):
            given[TRAIN_ARGS_KEY] = json.dumps(json.loads(given[TRAIN_ARGS_KEY]) | {"num_steps": steps})
        super().Do(input_dict, output_dict, given)


class StepsSpec(TrainerSpec):
    """As TFX's, with the number of steps."""

    PARAMETERS = TrainerSpec.PARAMETERS | {_STEPS: ExecutionParameter(type=int)}


class Trainer(component.Trainer):
    """Trains by `trainer.run.run_fn`.

    TFX's Trainer has the number of steps in a message, and a parameter that is chosen when a run starts can be no part of one.

    Args:
        examples: as ingested, with splits `train` and `eval`.
        transform_graph: Transform's.
        base_model: what a warm start begins with.
        hyperparameters: the Tuner's best values.
        train_args: the split to learn from.
        eval_args: the split that chooses the epoch.
        custom_config: what `run_fn` reads besides.
        training_steps: at most so many; 0: as the dataset file says.
    """

    SPEC_CLASS = StepsSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        base_model: types.BaseChannel | None,
        hyperparameters: types.BaseChannel | None,
        train_args: TrainArgs,
        eval_args: EvalArgs,
        custom_config: dict[str, Any],
        training_steps: int | RuntimeParameter = 0,
    ) -> None:
        spec = StepsSpec(
            examples=examples,
            transform_graph=transform_graph,
            base_model=base_model,
            hyperparameters=hyperparameters,
            run_fn="trainer.run.run_fn",
            train_args=train_args,
            eval_args=eval_args,
            custom_config=json_utils.dumps(custom_config),
            model=types.Channel(type=standard_artifacts.Model),
            model_run=types.Channel(type=standard_artifacts.ModelRun),
            **{_STEPS: training_steps},
        )
        # TFX's own constructor builds a TrainerSpec, which has no room for the steps.
        base_component.BaseComponent.__init__(self, spec=spec)
