from pathlib import Path

import pytest

from components.contract.errors import ShelfRankError
from components.contract.storage.json_lines import append_json_line, read_json_lines


def test_lines_come_back_in_order(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    assert read_json_lines(file) == []
    for number in range(3):
        append_json_line(file, {"n": number, "text": "zwei\nZeilen, ü"})
    assert [row["n"] for row in read_json_lines(file)] == [0, 1, 2]
    assert file.read_bytes().count(b"\n") == 3


@pytest.mark.parametrize("torn", [b"{", b'{"n": 1}', b"\xff\xc3"])
def test_what_a_kill_left_of_a_line_is_none_and_goes_with_the_next(tmp_path: Path, torn: bytes) -> None:
    file = tmp_path / "a.jsonl"
    append_json_line(file, {"n": 0})
    with file.open("ab") as opened:
        opened.write(torn)
    assert read_json_lines(file) == [{"n": 0}]
    append_json_line(file, {"n": 2})
    assert file.read_bytes() == b'{"n": 0}\n{"n": 2}\n'


@pytest.mark.parametrize("line", ["[]", "x", ""])
def test_a_line_within_that_isnt_an_object_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"n": 0}}\n{line}\n{{"n": 1}}\n')
    with pytest.raises(ShelfRankError, match=r"a.jsonl:2: expected a JSON object"):
        read_json_lines(tmp_path / "a.jsonl")
