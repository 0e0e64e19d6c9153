import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from components.contract.errors import ShelfRankError
from components.release.manifest import FILE, Manifest, read_manifest
from components.release.publish import content_digest, newest, publish, versions

FACTS = Manifest(
    created_us=1_700_000_000_000_000,
    dataset="shop",
    dataset_digest="d" * 64,
    data_window={"first event": "2026-01-01T00:00:00+00:00"},
    metrics={"auc": 0.75, "mrr": None},
    verdict=("Passed: AUC rose by 0.010 against the champion.",),
    input_columns=("item", "price"),
    code="0.1.0+abc",
)


def model(folder: Path, weights: str) -> Path:
    (folder / "variables").mkdir(parents=True, exist_ok=True)
    (folder / "variables" / "variables.index").write_text(weights)
    (folder / "saved_model.pb").write_text("graph")
    return folder


def test_the_first_release_is_version_1_without_parent(tmp_path: Path) -> None:
    released = publish(model(tmp_path / "model", "a"), tmp_path / "releases", FACTS)
    assert (released.version, released.parent) == (1, None)
    assert newest(tmp_path / "releases") == 1


def test_a_release_holds_the_models_files_and_a_manifest_that_reads_back(tmp_path: Path) -> None:
    released = publish(model(tmp_path / "model", "a"), tmp_path / "releases", FACTS)
    release = tmp_path / "releases" / "1"
    assert (release / "variables" / "variables.index").read_text() == "a"
    assert (release / "saved_model.pb").read_text() == "graph"
    assert read_manifest(release) == released == replace(FACTS, version=1, content=content_digest(release))


def test_another_model_becomes_the_next_version_and_the_old_one_stays(tmp_path: Path) -> None:
    publish(model(tmp_path / "a", "a"), tmp_path / "releases", FACTS)
    released = publish(model(tmp_path / "b", "b"), tmp_path / "releases", FACTS)
    assert (released.version, released.parent) == (2, 1)
    assert versions(tmp_path / "releases") == (1, 2)


def test_publishing_the_newest_release_again_changes_nothing(tmp_path: Path) -> None:
    first = publish(model(tmp_path / "a", "a"), tmp_path / "releases", FACTS)
    again = publish(model(tmp_path / "copy", "a"), tmp_path / "releases", replace(FACTS, created_us=2))
    assert again == first
    assert versions(tmp_path / "releases") == (1,)


def test_going_back_to_an_older_model_is_a_new_version(tmp_path: Path) -> None:
    for weights in ("a", "b", "a"):
        released = publish(model(tmp_path / weights, weights), tmp_path / "releases", FACTS)
    assert (released.version, released.parent) == (3, 2)


def test_versions_are_ordered_as_numbers(tmp_path: Path) -> None:
    for weights in range(11):
        publish(model(tmp_path / "model", str(weights)), tmp_path / "releases", FACTS)
    assert versions(tmp_path / "releases")[-3:] == (9, 10, 11)


def test_a_number_in_use_is_never_taken_even_without_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "releases" / "7").mkdir(parents=True)
    released = publish(model(tmp_path / "model", "a"), tmp_path / "releases", FACTS)
    assert (released.version, released.parent) == (8, None)


def test_leftovers_of_killed_publishers_are_cleared_up(tmp_path: Path) -> None:
    leftover = tmp_path / "releases" / ".publishing-x1y2"
    leftover.mkdir(parents=True)
    publish(model(tmp_path / "model", "a"), tmp_path / "releases", FACTS)
    assert sorted(path.name for path in (tmp_path / "releases").iterdir()) == ["1"]


def test_a_folder_without_a_saved_model_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(ShelfRankError, match=r"expected a SavedModel to release, found no saved_model\.pb"):
        publish(tmp_path / "model", tmp_path / "releases", FACTS)
    assert versions(tmp_path / "releases") == ()


def test_no_releases_folder_means_no_versions(tmp_path: Path) -> None:
    assert newest(tmp_path / "nowhere") is None


def test_the_digest_sees_names_and_bytes_and_not_the_manifest(tmp_path: Path) -> None:
    one = content_digest(model(tmp_path / "one", "a"))
    assert content_digest(model(tmp_path / "two", "b")) != one
    (tmp_path / "one" / FILE).write_text("{}")
    assert content_digest(tmp_path / "one") == one
    (tmp_path / "one" / "saved_model.pb").rename(tmp_path / "one" / "saved_model.pbtxt")
    assert content_digest(tmp_path / "one") != one


def test_another_account_may_read_a_release(tmp_path: Path) -> None:
    publish(model(tmp_path / "model", "a"), tmp_path / "releases", FACTS)
    assert (tmp_path / "releases" / "1").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("text", ["", "{}", "[]", json.dumps({"version": 1})])
def test_a_broken_manifest_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ShelfRankError, match=r"manifest\.json: expected the manifest of a release"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("moment", ["copytree", "write_text", "rename"])
def test_a_publisher_killed_at_any_moment_leaves_no_half_release_and_the_next_try_makes_one(tmp_path: Path, moment: str) -> None:
    model(tmp_path / "model", "a")
    killed = textwrap.dedent(f"""
        import os, shutil, signal, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from components.release import releases
        from test_releases import FACTS
        def die(*args, **kwargs): os.kill(os.getpid(), signal.SIGKILL)
        setattr({{"copytree": shutil, "write_text": Path, "rename": Path}}[{moment!r}], {moment!r}, die)
        releases.publish({str(tmp_path / "model")!r}, {str(tmp_path / "releases")!r}, FACTS)
    """)
    ended = subprocess.run([sys.executable, "-c", killed], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert versions(tmp_path / "releases") == ()
    assert publish(tmp_path / "model", tmp_path / "releases", FACTS).version == 1
    assert [path.name for path in (tmp_path / "releases").iterdir()] == ["1"]
