import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from components.contract.errors import RunError
from components.contract.storage.labels import Labels
from components.release.labels import write_labels
from components.release.manifest import Manifest
from pipeline.local import run_record
from pipeline.local.run_record import Pin, inputs_before, pin, run_lock
from pipeline.results.atomic_write import write_atomically


def release(releases: Path, version: int) -> None:
    (releases / str(version)).mkdir(parents=True)
    manifest = Manifest(0, "shop", "", {}, {}, (), (), "", version=version)
    (releases / str(version) / "manifest.json").write_text(manifest.to_json())


def finish(file: Path, pinned: Pin, released: int | None) -> None:
    write_atomically(file, json.dumps(asdict(replace(pinned, released=released))))


def test_the_first_run_has_no_champion(tmp_path: Path) -> None:
    assert pin(tmp_path / "run.json", "k", tmp_path / "releases") == Pin("k", 0)


def test_a_run_is_compared_with_the_newest_release(tmp_path: Path) -> None:
    release(tmp_path / "releases", 9)
    release(tmp_path / "releases", 10)
    assert pin(tmp_path / "run.json", "k", tmp_path / "releases").champion == 10


def test_a_run_is_compared_with_what_shoppers_get_where_that_isnt_the_newest(tmp_path: Path) -> None:
    for version in (1, 2):
        release(tmp_path / "releases", version)
    write_labels(Labels("shop", "").promoted(1, "stable"), tmp_path / "releases")
    assert pin(tmp_path / "run.json", "k", tmp_path / "releases").champion == 1


def test_a_run_with_an_id_goes_on_with_what_it_read(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    assert inputs_before(file, "7") == ""
    pin(file, "k", tmp_path / "releases", run_id="7", inputs="digest")
    assert (inputs_before(file, "7"), inputs_before(file, "8"), inputs_before(file, "")) == ("digest", "", "")
    pin(file, "k", tmp_path / "releases")
    assert (inputs_before(file, "7"), inputs_before(file, "")) == ("", "")


def test_a_run_taken_up_again_keeps_its_champion_although_it_has_published(tmp_path: Path) -> None:
    first = pin(tmp_path / "run.json", "k", tmp_path / "releases")
    release(tmp_path / "releases", 1)
    assert pin(tmp_path / "run.json", "k", tmp_path / "releases") == first


def test_a_finished_run_asked_for_again_keeps_its_champion(tmp_path: Path) -> None:
    first = pin(tmp_path / "run.json", "k", tmp_path / "releases")
    release(tmp_path / "releases", 1)
    finish(tmp_path / "run.json", first, 1)
    assert pin(tmp_path / "run.json", "k", tmp_path / "releases") == first


def test_other_data_is_compared_with_the_newest_release(tmp_path: Path) -> None:
    finish(tmp_path / "run.json", pin(tmp_path / "run.json", "k", tmp_path / "releases"), 1)
    release(tmp_path / "releases", 1)
    assert pin(tmp_path / "run.json", "other", tmp_path / "releases") == Pin("other", 1)


def test_a_champion_that_is_gone_is_replaced_and_the_release_made_again(tmp_path: Path) -> None:
    finish(tmp_path / "run.json", Pin("k", 4), 5)
    assert pin(tmp_path / "run.json", "k", tmp_path / "releases") == Pin("k", 0, attempt=1)


def test_a_release_that_is_gone_is_made_again(tmp_path: Path) -> None:
    finish(tmp_path / "run.json", Pin("k", 0), 1)
    first = pin(tmp_path / "run.json", "k", tmp_path / "releases")
    assert first == Pin("k", 0, attempt=1)
    assert pin(tmp_path / "run.json", "k", tmp_path / "releases") == first


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.json", "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(tmp_path / "a.json", "new \ud800")
    assert (tmp_path / "a.json").read_text() == "old"


def test_a_second_run_in_a_folder_is_refused_while_the_first_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_record, "_WAIT_S", 0.3)
    code = f"from pipeline.local.run_record import *\nwith run_lock(Path({str(tmp_path)!r})): print('in', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(RunError, match="another run is at work here"), run_lock(tmp_path):
            pass
        other.kill()
        other.wait()
        with run_lock(tmp_path):
            pass
