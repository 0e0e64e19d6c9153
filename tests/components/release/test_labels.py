import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from components.contract.errors import InputError, ShelfRankError
from components.contract.storage.labels import Labels
from components.release.labels import read_labels, refresh_config, write_labels
from serving.model_server.lifecycle import models
from serving.model_server.lifecycle.versions import Specific

NONE = Labels("shop", "/models/shop")


def test_a_rollback_goes_to_the_version_that_carried_the_label_before_and_from_there_further_back() -> None:
    labels = NONE.promoted(1, "stable").promoted(3, "stable").promoted(2, "stable")
    assert labels.now == {"previous": 3, "stable": 2}
    assert labels.rolled_back("stable").now == {"previous": 1, "stable": 3}
    assert labels.rolled_back("stable").rolled_back("stable").now == {"stable": 1}


def test_a_promotion_that_changes_nothing_is_nothing_to_roll_back() -> None:
    labels = NONE.promoted(1, "stable").promoted(2, "stable")
    assert labels.promoted(2, "stable") == labels


def test_a_canary_on_trial_stays_where_it_is_when_stable_moves() -> None:
    labels = NONE.promoted(1, "stable").promoted(2, "canary").promoted(3, "stable")
    assert labels.now == {"canary": 2, "previous": 1, "stable": 3}
    assert labels.rolled_back("stable").now == {"canary": 2, "stable": 1}


def test_a_canary_that_became_stable_goes_with_stable() -> None:
    labels = NONE.promoted(1, "stable").promoted(2, "canary").promoted(2, "stable")
    assert labels.now == {"canary": 2, "previous": 1, "stable": 2}
    assert labels.rolled_back("stable").now == {"canary": 1, "stable": 1}
    assert labels.promoted(3, "stable").now == {"canary": 3, "previous": 2, "stable": 3}
    assert labels.promoted(3, "canary").now == {"canary": 3, "previous": 1, "stable": 2}


def test_a_canary_is_rolled_back_onto_stable_and_never_onto_an_old_canary() -> None:
    labels = NONE.promoted(1, "stable").promoted(2, "canary").promoted(3, "canary")
    assert labels.rolled_back("canary").now == {"canary": 1, "stable": 1}
    with pytest.raises(InputError, match="nothing is tried: 'canary' is on stable's version 1 already"):
        labels.rolled_back("canary").rolled_back("canary")
    assert NONE.promoted(2, "canary").promoted(3, "canary").rolled_back("canary").now == {"canary": 2}


def test_a_label_that_no_other_version_carried_cannot_be_rolled_back() -> None:
    with pytest.raises(InputError, match="'stable' can't be rolled back: no version carries it"):
        NONE.rolled_back("stable")
    with pytest.raises(InputError, match="only version 4 ever carried it"):
        NONE.promoted(4, "stable").rolled_back("stable")


def test_the_version_to_return_to_stays_loaded() -> None:
    labels = NONE.promoted(1, "stable").promoted(2, "stable").promoted(3, "stable").promoted(5, "canary")
    assert labels.served == (2, 3, 5)


@pytest.mark.parametrize("base", ["/models/shop", '/a "shop"/ähm'])
def test_a_model_server_reads_the_config_file_as_it_was_meant(tmp_path: Path, base: str) -> None:
    labels = replace(NONE, base_path=base).promoted(1, "stable").promoted(2, "stable").promoted(5, "canary")
    write_labels(labels, tmp_path)
    assert read_labels(tmp_path) == labels
    (model,) = models.read(tmp_path / "model_config.txt").values()
    assert (model.name, model.base_path, model.labels) == ("shop", base, {"stable": 2, "canary": 5, "previous": 1})
    assert model.policy == Specific(frozenset({1, 2, 5}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.json", "model_config.txt"]


def test_labels_without_a_base_path_are_those_of_the_folder_that_they_lie_in(tmp_path: Path) -> None:
    labels = replace(NONE, base_path="").promoted(1, "stable")
    (tmp_path / "one").mkdir()
    write_labels(labels, tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    assert read_labels(tmp_path / "other") == labels
    refresh_config(tmp_path / "other")
    for folder in ("one", "other"):
        (model,) = models.read(tmp_path / folder / "model_config.txt").values()
        assert model.base_path == str(tmp_path / folder)


def test_a_broken_record_is_an_error_that_names_it(tmp_path: Path) -> None:
    assert read_labels(tmp_path) is None
    (tmp_path / "labels.json").write_text('{"model": "shop"}')
    with pytest.raises(ShelfRankError, match=r"labels\.json: expected the labels of the releases"):
        read_labels(tmp_path)
