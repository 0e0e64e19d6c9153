"""Check that the number of steps that a run sets reaches `run_fn`."""

import json
from pathlib import Path
from typing import Any

import pytest
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.types import channel_utils, standard_artifacts
from tfx.utils import json_utils

from components.release.manifest import Manifest
from components.release.publish import publish
from trainer.component import Executor, Trainer

TOLD: list[FnArgs] = []
READ: list[str] = []
MANIFEST = Manifest(created_us=0, dataset="shop", dataset_digest="", data_window={}, metrics={}, verdict=(), input_columns=(), code="c")


def run_fn(args: FnArgs) -> None:
    """Record the arguments, and write a model."""
    TOLD.append(args)
    if args.base_model:
        READ.append((Path(args.base_model) / "saved_model.pb").read_text())
    Path(args.serving_model_dir).mkdir(parents=True)


def artifact(kind: Any, uri: Path) -> Any:
    built = kind()
    built.uri = str(uri)
    return built


def asked(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "train_args": '{"splits": ["train"]}',
        "eval_args": '{"splits": ["eval"]}',
        "run_fn": f"{__name__}.run_fn",
        "custom_config": json_utils.dumps({"dataset": "x"}),
        **given,
    }


def execute(tmp_path: Path, properties: dict[str, Any]) -> FnArgs:
    examples = artifact(standard_artifacts.Examples, tmp_path / "examples")
    examples.split_names = '["train", "eval"]'
    inputs = {"examples": [examples], "transform_graph": [artifact(standard_artifacts.TransformGraph, tmp_path / "graph")]}
    outputs = {
        "model": [artifact(standard_artifacts.Model, tmp_path / "model")],
        "model_run": [artifact(standard_artifacts.ModelRun, tmp_path / "run")],
    }
    Executor().Do(inputs, outputs, properties)
    return TOLD.pop()


@pytest.mark.parametrize(
    ("steps", "start", "expected", "config"),
    [(0, "", None, {"dataset": "x"}), (7, "warm", 7, {"dataset": "x", "training_start": "warm"})],
)
def test_steps_and_start_reach_run_fn_where_they_are_set(
    tmp_path: Path, steps: int, start: str, expected: int | None, config: dict[str, str]
) -> None:
    properties = asked({"training_steps": steps, "training_start": start})
    before = dict(properties)
    args = execute(tmp_path, properties)
    assert args.train_steps == expected
    assert args.train_files == [str(tmp_path / "examples" / "Split-train" / "*")]
    assert args.custom_config == config
    assert properties == before


def test_the_release_to_start_from_is_read_from_the_store_and_isnt_there_afterwards(tmp_path: Path) -> None:
    model = tmp_path / "model-of-3"
    model.mkdir()
    (model / "saved_model.pb").write_text("weights")
    store = tmp_path / "store"
    publish(model, store / "releases", MANIFEST)
    args = execute(tmp_path, asked({"training_start": "warm", "base": "1 6f1e", "push_destination": str(store)}))
    assert args.custom_config == {"dataset": "x", "training_start": "warm", "base": "1 6f1e", "champion": "release 1"}
    assert READ.pop() == "weights"
    assert not Path(args.base_model).exists()


def test_without_a_release_to_start_from_there_is_no_base_model(tmp_path: Path) -> None:
    args = execute(tmp_path, asked({"training_start": "warm", "base": "", "push_destination": str(tmp_path)}))
    assert args.base_model is None
    assert args.custom_config == {"dataset": "x", "training_start": "warm", "champion": "the baseline"}


def test_the_step_has_parameters_that_tfx_s_lacks() -> None:
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
