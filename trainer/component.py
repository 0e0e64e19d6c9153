"""Extend TFX's Trainer component by parameters for the number of steps and for what training starts from."""

import json
import tempfile
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.trainer import component, executor
from tfx.dsl.components.base import base_component
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.dsl.placeholder.placeholder import Placeholder
from tfx.orchestration.data_types import RuntimeParameter
from tfx.proto.trainer_pb2 import EvalArgs, TrainArgs
from tfx.types import standard_artifacts
from tfx.types.component_spec import ExecutionParameter
from tfx.types.standard_component_specs import BASE_MODEL_KEY, CUSTOM_CONFIG_KEY, TRAIN_ARGS_KEY, TrainerSpec
from tfx.utils import json_utils
from tfx.utils.path_utils import serving_model_dir

from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import RELEASES
from components.release.publish import download_model

_STEPS, _START, _BASE, _STORE = "training_steps", "training_start", "base", "push_destination"


class Executor(executor.GenericExecutor):
    """Copy the number of steps to where TFX reads it, `train_args`, the start to where `run_fn` does, and the release
    to start from out of the store."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:  # noqa: N802
        """Train by `trainer.run.run_fn`."""
        properties = dict(exec_properties)
        base, store = properties.pop(_BASE, ""), properties.pop(_STORE, "")
        if steps := properties.pop(_STEPS, 0):
            properties[TRAIN_ARGS_KEY] = json.dumps(json.loads(properties[TRAIN_ARGS_KEY]) | {"num_steps": steps})
        version = base.partition(" ")[0]
        said = {
            _START: properties.pop(_START, ""),
            _BASE: base,
            "champion": f"release {version}" if base else "the baseline" if store else "",
        }
        if said := {name: value for name, value in said.items() if value}:
            properties[CUSTOM_CONFIG_KEY] = json.dumps(json.loads(properties[CUSTOM_CONFIG_KEY]) | said)
        with tempfile.TemporaryDirectory() as folder:
            if base:
                download_model(Address.parse(store) / RELEASES / version, Path(serving_model_dir(folder)))
                model = standard_artifacts.Model()
                model.uri = folder
                input_dict = {**input_dict, BASE_MODEL_KEY: [model]}
            super().Do(input_dict, output_dict, properties)


class StepsSpec(TrainerSpec):
    """Declare TFX's parameters, the number of steps and the start."""

    PARAMETERS = TrainerSpec.PARAMETERS | {
        _STEPS: ExecutionParameter(type=int),
        **{name: ExecutionParameter(type=str) for name in (_START, _BASE, _STORE)},
    }


class Trainer(component.Trainer):
    """Train by `trainer.run.run_fn`.

    TFX's Trainer takes the number of steps inside a protobuf message, where no runtime parameter can be.

    Args:
        examples: raw examples with splits `train` and `eval`.
        transform_graph: Transform's.
        base_model: the champion, for a warm start; None where `base` says so when the pipeline runs.
        hyperparameters: the Tuner's best values.
        train_args: the split to train on.
        eval_args: the split that selects the epoch.
        custom_config: read by `run_fn`.
        training_steps: greatest number of steps; 0: as in the dataset file.
        training_start: `warm`: from the weights of `base_model` or `base`; `full`: from random ones; "": as in the
            dataset file.
        base: Champion's output of that name.
        push_destination: the store with that release.
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
        training_start: str | RuntimeParameter = "",
        base: str | Placeholder = "",
        push_destination: str | RuntimeParameter = "",
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
            **{_STEPS: training_steps, _START: training_start, _BASE: base, _STORE: push_destination},
        )
        # TFX's own constructor builds a TrainerSpec, which lacks these parameters.
        base_component.BaseComponent.__init__(self, spec=spec)
