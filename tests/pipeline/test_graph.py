"""The graph as it is compiled: who hears of whom."""

import re

import pytest
from tfx.dsl.compiler.compiler import Compiler
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.pipeline import Pipeline

from pipeline.graph import GraphConfig, create_pipeline

DATASET = """
name: shop
events: {path: e.csv, columns: {time: time, user: user, item: item, action: action, request: request}}
actions: {impression: {}, click: {label: 1}}
candidates: {from: impressions}
features:
  - {name: item, kind: id, side: item}
"""


def create(**changed: object) -> Pipeline:
    values = {
        "name": "shop",
        "root": "/artifacts",
        "dataset": DATASET,
        "data_root": "/data",
        "push_destination": "/store",
        "champion": 3,
        "fingerprint": "f",
        "code": "c",
    } | changed
    return create_pipeline(GraphConfig(**values))  # type: ignore[arg-type]


def compiled(**changed: object):
    return {node.pipeline_node.node_info.id: node.pipeline_node for node in Compiler().compile(create(**changed)).nodes}


@pytest.fixture(scope="module")
def nodes():
    return compiled()


def parameter(node, name: str):
    value = node.parameters.parameters[name].field_value
    return getattr(value, value.WhichOneof("value"))


def test_all_steps_are_there(nodes) -> None:
    data = {"EventExampleGen", "ContractSchema", "StatisticsGen", "ExampleValidator", "AnomalyGate"}
    drift = {"DriftReference", "DriftCheck", "DriftGate"}
    learning = {"Transform", "Trainer", "Champion", "Evaluator", "ServingRehearsal", "Release", "FeatureImportance", "SliceReport"}
    assert set(nodes) == data | drift | learning


def test_nothing_is_learnt_before_the_examples_are_found_sound(nodes) -> None:
    assert "AnomalyGate" in nodes["Transform"].upstream_nodes
    assert list(nodes["AnomalyGate"].upstream_nodes) == ["ExampleValidator"]
    assert "Transform" in nodes["Trainer"].upstream_nodes


def test_the_judge_sees_the_test_window_the_model_and_the_champion(nodes) -> None:
    assert parameter(nodes["Evaluator"], "example_splits") == '["test"]'
    assert {"EventExampleGen", "Trainer", "Champion"} == set(nodes["Evaluator"].upstream_nodes)
    assert "schema" not in nodes["Evaluator"].inputs.inputs


def test_only_a_blessed_model_reaches_the_releases(nodes) -> None:
    assert "model_blessing" in nodes["Release"].inputs.inputs
    assert {"EventExampleGen", "Evaluator", "ServingRehearsal"} == set(nodes["Release"].upstream_nodes)


def test_only_the_model_that_was_rehearsed_reaches_the_releases(nodes) -> None:
    assert "infra_blessing" in nodes["Release"].inputs.inputs
    assert "model" not in nodes["Release"].inputs.inputs
    assert {"EventExampleGen", "Trainer", "DriftReference"} == set(nodes["ServingRehearsal"].upstream_nodes)


def test_nothing_is_learnt_before_the_window_was_compared_with_the_champions(nodes) -> None:
    assert {"EventExampleGen", "Champion"} == set(nodes["DriftCheck"].upstream_nodes)
    assert list(nodes["DriftGate"].upstream_nodes) == ["DriftCheck"]
    assert "DriftGate" in nodes["Trainer"].upstream_nodes
    assert "DriftGate" not in nodes["Transform"].upstream_nodes


@pytest.mark.parametrize(
    ("argument", "value", "hearing"),
    [
        ("fingerprint", "g", {"EventExampleGen"}),
        ("champion", 4, {"Champion"}),
        ("attempt", 1, {"Release"}),
    ],
)
def test_a_changed_argument_changes_the_cache_key_of_just_these_steps(nodes, argument: str, value: object, hearing: set[str]) -> None:
    other = compiled(**{argument: value})
    assert {name for name in nodes if nodes[name].parameters != other[name].parameters} == hearing


def test_a_warm_start_makes_the_trainer_hear_of_the_champion_and_nothing_else_does(nodes) -> None:
    assert "base_model" not in nodes["Trainer"].inputs.inputs
    warm = {"dataset": DATASET + "model: {warm_start: true}\n"}
    third, fourth = compiled(**warm), compiled(**warm, champion=4)
    assert "Champion" in third["Trainer"].upstream_nodes
    assert "base_model" in third["Trainer"].inputs.inputs
    assert '"champion": "release 3"' in parameter(third["Trainer"], "custom_config")
    assert {name for name in third if third[name].parameters != fourth[name].parameters} == {"Champion", "Trainer"}


def test_a_run_says_itself_whether_training_starts_warm() -> None:
    dataset = DATASET + "model: {warm_start: true, warm_window: 1d}\n"
    assert "base_model" in compiled(training_start="warm")["Trainer"].inputs.inputs
    assert "base_model" not in compiled(training_start="full", dataset=dataset)["Trainer"].inputs.inputs


def test_where_the_run_says_how_training_starts_the_trainer_hears_of_a_base_and_not_of_the_champion() -> None:
    asked = RuntimeParameter(name="training_start", ptype=str, default="")
    trainer = compiled(champion=-1, training_start=asked)["Trainer"]
    assert "base_model" not in trainer.inputs.inputs
    assert "Champion" in trainer.upstream_nodes
    assert {"base", "push_destination"} <= set(trainer.parameters.parameters)


def test_a_champion_that_is_chosen_at_run_time_has_no_number(nodes) -> None:
    warm = compiled(champion=-1, dataset=DATASET + "model: {warm_start: true}\n")
    assert parameter(warm["Champion"], "version") == -1
    assert '"champion": "the release in force"' in parameter(warm["Trainer"], "custom_config")


def test_the_state_goes_to_the_store_only_where_that_is_asked_for(nodes) -> None:
    assert "state" not in nodes["Release"].inputs.inputs
    assert "state" in compiled(publish_state=True)["Release"].inputs.inputs


def test_changed_code_changes_the_cache_key_of_all_that_learns_and_judges(nodes) -> None:
    other = compiled(code="d")
    changed = {name for name in nodes if nodes[name].parameters != other[name].parameters}
    drift = {"DriftReference", "DriftCheck"}
    assert changed == drift | {"ContractSchema", "Transform", "Trainer", "Champion", "ServingRehearsal", "Release", "FeatureImportance"}


TUNING = DATASET + "tuning: {trials: 2}\n"


@pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner.*")
def test_with_a_search_the_trainer_hears_of_the_tuner_and_of_the_same_examples() -> None:
    nodes = compiled(dataset=TUNING, trials="/trials")
    assert {"EventExampleGen", "Transform", "DriftGate"} == set(nodes["Tuner"].upstream_nodes)
    assert "Tuner" in nodes["Trainer"].upstream_nodes
    assert "hyperparameters" in nodes["Trainer"].inputs.inputs
    for name in ("train_args", "eval_args"):
        assert parameter(nodes["Tuner"], name) == parameter(nodes["Trainer"], name)
    assert parameter(nodes["Tuner"], "tuner_fn") == "trainer.tune.tuner_fn"
    assert "/trials" in parameter(nodes["Tuner"], "custom_config")


def test_without_a_search_there_is_no_tuner_and_no_word_of_trials(nodes) -> None:
    assert "hyperparameters" not in nodes["Trainer"].inputs.inputs
    assert {name for name, node in compiled(trials="/trials").items() if node.parameters != nodes[name].parameters} == set()


def test_the_graph_holds_no_path_but_those_it_is_given(nodes) -> None:
    paths = {path for node in nodes.values() for path in re.findall(r"(?<![\w.])/[A-Za-z]\w*", str(node.parameters))}
    assert paths == {"/data", "/store"}
