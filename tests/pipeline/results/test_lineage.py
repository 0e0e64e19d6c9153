"""What came from what, by the graph and by name."""

import hashlib
import json
import math

import pytest

from pipeline.results.lineage import edges, lineage
from tests.pipeline.test_graph import DATASET, create

TEXT = "name: shop"


def lineage_document(**run: object) -> dict[str, object]:
    graph = {"Trainer": {"examples": "EventExampleGen.examples"}}
    text = lineage(dataset=TEXT, graph=graph, artifacts={"b.x": "2", "a.x": "1"}, data={"root": "s3://logs"}, run=run)
    document: dict[str, object] = json.loads(text)
    return document


def test_each_input_of_each_step_is_named_by_the_step_that_makes_it() -> None:
    inputs = edges(create(dataset=DATASET).components)
    assert inputs["Evaluator"] == {
        "baseline_model": "Champion.model",
        "examples": "EventExampleGen.examples",
        "model": "Trainer.model",
    }
    assert inputs["EventExampleGen"] == {}
    assert inputs["SliceReport"]["pushed"] == "Release.pushed_model"


def test_it_names_dataset_file_data_artifacts_and_versions() -> None:
    document = lineage_document(champion="release 3")
    assert document["dataset"] == {"sha256": hashlib.sha256(TEXT.encode()).hexdigest(), "text": TEXT}
    assert (document["champion"], document["data"]) == ("release 3", {"root": "s3://logs"})
    assert document["steps"] == {"Trainer": {"inputs": {"examples": "EventExampleGen.examples"}}}
    assert list(document["artifacts"]) == ["a.x", "b.x"]  # type: ignore[call-overload]
    assert document["packages"]["tfx"] == "1.21.0"  # type: ignore[index]


def test_it_is_json_that_every_reader_takes() -> None:
    with pytest.raises(ValueError, match="JSON"):
        lineage_document(auc=math.nan)
