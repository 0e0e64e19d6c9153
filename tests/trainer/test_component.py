"""Check that the number of steps that a run sets reaches `run_fn`."""

import json
from pathlib import Path
from typing import Any

import pytest
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.types import channel_utils, standard_artifacts
from tfx.utils import json_utils

from trainer.component import Executor, Trainer

TOLD: list[FnArgs] = []


def run_fn(args: FnArgs) -> None:
    """Record the arguments, and write a model."""
    TOLD.append(args)
    Path(args.serving_model_dir).mkdir(parents=True)


def artifact(kind: Any, uri: Path) -> Any:
    built = kind()
    built.uri = str(uri)
    return built


@pytest.mark.parametrize(
    ("steps", "start", "expected", "config"),
    [(0, "", None, {"dataset": "x"}), (7, "warm", 7, {"dataset": "x", "training_start": "warm"})],
)
def test_steps_and_start_reach_run_fn_where_they_are_set(
    tmp_path: Path, steps: int, start: str, expected: int | None, config: dict[str, str]
) -> None:
    examples = artifact(standard_artifacts.Examples, tmp_path / "examples")
    examples.split_names = '["train", "eval"]'
    inputs = {"examples": [examples], "transform_graph": [artifact(standard_artifacts.TransformGraph, tmp_path / "graph")]}
    outputs = {
        "model": [artifact(standard_artifacts.Model, tmp_path / "model")],
        "model_run": [artifact(standard_artifacts.ModelRun, tmp_path / "run")],
    }
    properties = {
        "train_args": '{"splits": ["train"]}',
        "eval_args": '{"splits": ["eval"]}',
        "run_fn": f"{__name__}.run_fn",
        "custom_config": json_utils.dumps({"dataset": "x"}),
        "training_steps": steps,
        "training_start": start,
    }
    before = dict(properties)
    Executor().Do(inputs, outputs, properties)
    args = TOLD.pop()
    assert args.train_steps == expected
    assert args.train_files == [str(tmp_path / "examples" / "Split-train" / "*")]
    assert args.custom_config == config
    assert properties == before


def test_the_step_has_two_parameters_that_tfx_s_lacks() -> None:
    from tfx.proto.trainer_pb2 import EvalArgs, TrainArgs

    built = Trainer(
        examples=channel_utils.as_channel([standard_artifacts.Examples()]),
        transform_graph=channel_utils.as_channel([standard_artifacts.TransformGraph()]),
        base_model=None,
        hyperparameters=None,
        train_args=TrainArgs(splits=["train"]),
        eval_args=EvalArgs(splits=["eval"]),
        custom_config={"dataset": "x"},
        training_steps=3,
        training_start="full",
    )
    assert built.id == "Trainer"
    assert built.exec_properties["training_steps"] == 3
    assert built.exec_properties["training_start"] == "full"
    assert built.exec_properties["run_fn"] == "trainer.run.run_fn"
    assert json.loads(built.exec_properties["custom_config"]) == {"dataset": "x"}
    assert set(built.outputs) == {"model", "model_run"}
