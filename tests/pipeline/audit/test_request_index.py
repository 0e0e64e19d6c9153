"""Decisions are found by their id: in complete files by an index, which follows whatever becomes of its file."""

import json
import os
from pathlib import Path

import pytest

from components.contract.errors import InputError
from pipeline.audit.find_lines import FOLDER, Searched, find_lines, log_folders
from pipeline.audit.request_index import request_of
from serving.exposure.erase import erase, request_erasure
from serving.exposure.serialization import EventRows
from tests.serving.exposure.shop_log import START_US, click, dataset, exposure, log


def written(folder: Path, requests: range) -> Path:
    """A file of decisions of these requests, and their clicks."""
    opened = log(folder)
    for n in requests:
        opened.offer(exposure(n))
        opened.commit([click(n)]).result()
    opened.close(10)
    return folder


def find(folder: Path, *requests: str, index: Path | None = None, kind: str = "decisions") -> tuple[list[str], Searched]:
    """The ids of the lines found, in their order."""
    found, searched = find_lines(log_folders([folder]), kind, "request", requests, index=index, say=lambda _: None)
    for lines in found.values():
        for line in lines:
            with line.file.open("rb") as file:
                file.seek(line.offset)
                assert json.loads(file.readline()) == line.row
    return [line.row["request"] for lines in found.values() for line in lines], searched


def test_every_decision_is_found_and_no_other(tmp_path: Path) -> None:
    written(tmp_path, range(50))
    written(tmp_path, range(50, 70))
    found, searched = find(tmp_path, *(f"r{n}" for n in range(80)))
    assert found == [f"r{n}" for n in range(70)]
    assert (searched.files, searched.lines, searched.built) == (2, 70, 2)


def test_a_file_is_indexed_once(tmp_path: Path) -> None:
    written(tmp_path, range(5))
    assert find(tmp_path, "r1")[1].built == 1
    assert find(tmp_path, "r1")[1].built == 0
    written(tmp_path, range(5, 9))
    found, searched = find(tmp_path, "r1", "r7")
    assert (found, searched.built) == (["r1", "r7"], 1)


def test_a_request_of_several_pages_has_a_decision_for_each(tmp_path: Path) -> None:
    opened = log(tmp_path)
    opened.offer(exposure(1))
    opened.offer(exposure(1, first_position=24))
    opened.close(10)
    assert find(tmp_path, "r1")[0] == ["r1", "r1"]


def test_interactions_are_found_by_their_request_though_it_is_not_their_first_field(tmp_path: Path) -> None:
    written(tmp_path, range(5))
    assert find(tmp_path, "r3", kind="interactions")[0] == ["r3"]


def test_a_rewritten_file_is_indexed_again_and_counts_what_has_gone(tmp_path: Path) -> None:
    written(tmp_path, range(9))
    assert find(tmp_path, "r1")[0] == ["r1"]
    request_erasure(tmp_path, "u1", now_us=START_US + 10**12)
    erase(tmp_path, EventRows(dataset()))
    found, searched = find(tmp_path, "r1", "r2")
    assert (found, searched.lines, searched.erased) == (["r2"], 6, 3)
    assert "3 lines have gone since their files were first indexed" in searched.sentence("decisions")


def test_a_changed_byte_is_noticed_whatever_the_times_say(tmp_path: Path) -> None:
    written(tmp_path, range(5))
    find(tmp_path, "r1")
    (file,) = tmp_path.glob("decisions-*.jsonl")
    stat = file.stat()
    file.write_bytes(file.read_bytes().replace(b'"r1"', b'"q1"'))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert find(tmp_path, "r1", "q1")[0] == ["q1"]


def test_a_copied_log_keeps_its_index(tmp_path: Path) -> None:
    written(tmp_path, range(5))
    find(tmp_path, "r1")
    (file,) = tmp_path.glob("decisions-*.jsonl")
    os.utime(file, (1, 1))
    found, searched = find(tmp_path, "r1")
    assert (found, searched.built) == (["r1"], 0)


def test_a_damaged_index_is_built_again(tmp_path: Path) -> None:
    written(tmp_path, range(5))
    find(tmp_path, "r1")
    (index,) = (tmp_path / FOLDER).iterdir()
    for content in (b"", b"no database", index.read_bytes()[:5000]):
        index.write_bytes(content)
        assert find(tmp_path, "r1")[0] == ["r1"]


def test_the_index_of_a_removed_file_goes_with_it(tmp_path: Path) -> None:
    written(tmp_path, range(5))
    written(tmp_path, range(5, 9))
    find(tmp_path, "r1")
    first, _ = sorted(tmp_path.glob("decisions-*.jsonl"))
    first.unlink()
    find(tmp_path, "r1")
    assert len(list((tmp_path / FOLDER).iterdir())) == 1


def test_an_index_names_neither_shoppers_nor_requests(tmp_path: Path) -> None:
    written(tmp_path, range(5))
    find(tmp_path, "r1")
    (index,) = (tmp_path / FOLDER).iterdir()
    assert b"u1" not in index.read_bytes()
    assert b"r1" not in index.read_bytes()


def test_a_log_that_may_only_be_read_is_indexed_elsewhere(tmp_path: Path) -> None:
    written(tmp_path / "log", range(5))
    assert find(tmp_path / "log", "r1", index=tmp_path / "index")[0] == ["r1"]
    assert not (tmp_path / "log" / FOLDER).exists()


def test_the_logs_of_several_instances_are_searched_by_their_common_folder(tmp_path: Path) -> None:
    written(tmp_path / "one", range(3))
    written(tmp_path / "two", range(3, 6))
    found, searched = find(tmp_path, "r1", "r4")
    assert (found, searched.files) == (["r1", "r4"], 2)
    with pytest.raises(InputError, match="expected the folder of an exposure log"):
        find(tmp_path / "three", "r1")


@pytest.mark.parametrize("request_id", ["r1", 'quo"te', "back\\slash", "umlaut ä", "emoji 🛒", " ", '"request":"r2"'])
def test_an_id_is_read_from_a_line_without_parsing_the_rest(request_id: str) -> None:
    for row in ({"request": request_id, "time": 1, "user": "u"}, {"time": 1, "request": request_id}):
        line = json.dumps(row, separators=(",", ":")).encode() + b"\n"
        assert request_of(line, "request") == (True, request_id)
    assert request_of(b'{"request":"r1","ti\n', "request") == (False, "")
    assert request_of(b"[1]\n", "request") == (False, "")
    assert request_of(b'{"time":1,"request":null}\n', "request") == (True, "")
