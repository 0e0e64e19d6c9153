"""Which files a pattern means, whatever their folders are called."""

from pathlib import Path

from components.ingest.sources.beam_filesystem import listed


def test_no_folder_is_passed_over_for_its_name(tmp_path: Path) -> None:
    folders = ["dt=\\N", "dt=[x]", "dt=a b", "dt=%20", "dt=?", "dt=1"]
    for folder in folders:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "part.csv").write_text("a")
    assert listed(str(tmp_path / "*" / "part.csv")) == sorted(str(tmp_path / folder / "part.csv") for folder in folders)


def test_a_file_is_itself_though_its_name_looks_like_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "log[1].csv").write_text("a")
    (tmp_path / "log1.csv").write_text("b")
    assert listed(str(tmp_path / "log[1].csv")) == [str(tmp_path / "log[1].csv")]


def test_folders_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    assert listed(str(tmp_path / "*.csv")) == []
