"""What `shelfrank serve` says before there is anything to serve; the whole of it is tested in test_whole_run.py."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from pipeline.cli.main import main
from pipeline.ops.serve import model_config


def test_a_folder_without_a_run_has_nothing_to_serve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--root", str(tmp_path)]) == 1
    assert "no run has come to its end here; start one with `shelfrank run`" in capsys.readouterr().err


def config(folder: Path, labels: dict[str, int], *, kept: int) -> Any:
    for version in range(1, 6):
        (folder / str(version)).mkdir()
        (folder / str(version) / "manifest.json").write_text("{}")
    parsed = model_server_config_pb2.ModelServerConfig()
    text_format.Parse(model_config("a shop", folder, labels, kept=kept), parsed)
    (only,) = parsed.model_config_list.config
    assert (only.name, only.base_path, only.model_platform) == ("a shop", str(folder), "tensorflow")
    return only


def test_the_newest_releases_are_served_those_to_come_too(tmp_path: Path) -> None:
    only = config(tmp_path, {}, kept=3)
    assert only.model_version_policy.latest.num_versions == 3
    assert not only.version_labels


def test_what_is_labelled_is_served_beside_the_newest(tmp_path: Path) -> None:
    only = config(tmp_path, {"stable": 1, "canary": 5}, kept=2)
    assert list(only.model_version_policy.specific.versions) == [1, 4, 5]
    assert dict(only.version_labels) == {"stable": 1, "canary": 5}


@pytest.mark.parametrize("wrong", ["0", "-1", "many"])
def test_how_many_releases_is_a_number_from_one_on(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", f"--versions={wrong}"])
    assert "expected a number from 1 on" in capsys.readouterr().err
