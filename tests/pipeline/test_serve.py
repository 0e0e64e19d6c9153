"""What `shelfrank serve` says before there is anything to serve; the whole of it is tested in test_whole_run.py."""

from pathlib import Path

import pytest

from pipeline.cli import main


def test_a_folder_without_a_run_has_nothing_to_serve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--root", str(tmp_path)]) == 1
    assert "no run has come to its end here; start one with `shelfrank run`" in capsys.readouterr().err
