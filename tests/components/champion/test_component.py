import logging
from dataclasses import replace
from pathlib import Path

import pytest
import tensorflow as tf
from tfx.types.standard_artifacts import Model

from components.champion.component import Champion
from components.contract.errors import ShelfRankError
from components.contract.storage.labels import Labels
from components.release.labels import write_labels
from components.release.manifest import Manifest, read_manifest
from components.release.publish import publish

DATASET = """
name: shop
events: {path: e.csv, columns: {time: time, user: user, item: item, action: action, request: request, position: position}}
actions: {impression: {}, click: {label: 1}}
candidates: {from: impressions}
features:
  - {name: item, kind: id, side: item}
  - {name: clicks, kind: state, side: item, measure: total, action: click}
"""

FACTS = Manifest(
    created_us=0, dataset="shop", dataset_digest="", data_window={}, metrics={}, verdict=(), input_columns=("item", "clicks"), code="c"
)


def released(tmp_path: Path, *, store: str | None = None, graph: str = "a graph", **facts: object) -> None:
    (tmp_path / "model").mkdir(exist_ok=True)
    (tmp_path / "model" / "saved_model.pb").write_text(graph)
    publish(tmp_path / "model", f"{store or tmp_path}/releases", replace(FACTS, **facts))


def call(tmp_path: Path, version: int, *, store: str | None = None, start: str = "", more: str = "") -> tuple[Model, str]:
    artifact = Model()
    artifact.uri = str(tmp_path / "champion")
    told = Champion.test_call(
        dataset=DATASET + more, push_destination=store or str(tmp_path), version=version, training_start=start, code="c", model=artifact
    )
    return artifact, told["base"]


def champion(tmp_path: Path, version: int, *, store: str | None = None) -> tuple[Path, str]:
    artifact, _ = call(tmp_path, version, store=store)
    return tmp_path / "champion" / "Format-Serving", artifact.get_string_custom_property("champion")


def test_without_a_release_the_baseline_is_champion(tmp_path: Path) -> None:
    folder, name = champion(tmp_path, 0)
    assert name == "baseline"
    assert "examples" in tf.saved_model.load(str(folder)).signatures


def test_a_release_is_champion_as_it_was_published_without_its_manifest(tmp_path: Path) -> None:
    released(tmp_path)
    folder, name = champion(tmp_path, 1)
    assert name == "release 1"
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("saved_model.pb", "a graph")]


def test_a_release_that_reads_columns_of_yesterday_gives_way_to_the_baseline(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    released(tmp_path, input_columns=("item", "colour"))
    with caplog.at_level(logging.WARNING):
        folder, name = champion(tmp_path, 1)
    assert name == "baseline"
    assert "examples" in tf.saved_model.load(str(folder)).signatures
    assert "release 1 reads columns that the dataset file no longer has (colour)" in caplog.text


def test_a_release_that_reads_less_than_there_is_now_stays_champion(tmp_path: Path) -> None:
    released(tmp_path, input_columns=("item",))
    assert champion(tmp_path, 1)[1] == "release 1"


def test_a_release_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ShelfRankError, match="expected the manifest of a release"):
        champion(tmp_path, 7)


def test_at_run_time_the_newest_release_is_champion_whatever_the_store(tmp_path: Path, store: str) -> None:
    assert champion(tmp_path / "first", -1, store=store)[1] == "baseline"
    for graph in ("a graph", "another"):
        released(tmp_path, store=store, graph=graph)
    folder, name = champion(tmp_path, -1, store=store)
    assert name == "release 2"
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("saved_model.pb", "another")]


def test_at_run_time_what_is_labelled_stable_is_champion_before_anything_newer(tmp_path: Path) -> None:
    for graph in ("a graph", "another"):
        released(tmp_path, graph=graph)
    write_labels(Labels("shop", "/releases", {"stable": (1,)}), tmp_path / "releases")
    assert champion(tmp_path, -1)[1] == "release 1"


WARM = "model: {warm_start: true}\n"


@pytest.mark.parametrize(("start", "more", "warm"), [("", "", False), ("", WARM, True), ("warm", "", True), ("full", WARM, False)])
def test_training_starts_from_the_champion_as_the_run_says_or_else_the_dataset_file(
    tmp_path: Path, start: str, more: str, warm: bool
) -> None:
    assert call(tmp_path / "none", 0, start=start, more=more)[1] == ""
    released(tmp_path)
    base = call(tmp_path, 1, start=start, more=more)[1]
    assert base == (f"1 {read_manifest(tmp_path / 'releases' / '1').content}" if warm else "")


def test_training_doesnt_start_from_a_release_that_gave_way_to_the_baseline(tmp_path: Path) -> None:
    released(tmp_path, input_columns=("item", "colour"))
    assert call(tmp_path, 1, start="warm")[1] == ""
