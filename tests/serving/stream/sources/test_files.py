"""Each line of a file comes once, whatever the size of reads, and from the byte on that was the position."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contract.errors import InputError
from serving.stream.sources import files, lines
from serving.stream.sources.lines import LineCutter
from serving.stream.sources.open_source import open_source
from tests.serving.stream.sources.positions import Positions, read


def source(pattern: Path, positions: Positions, *, follow: bool = False) -> files.FilesSource:
    opened = open_source(str(pattern), positions, group="g", follow=follow)
    assert isinstance(opened, files.FilesSource)
    return opened


@given(st.lists(st.sampled_from([b"a", b"bc", b"", b"d\r", b"\r"])), st.booleans(), st.integers(1, 5))
def test_lines_and_their_offsets_do_not_depend_on_the_chunks(parts: list[bytes], ended: bool, size: int) -> None:
    text = b"\n".join(parts) + (b"\n" if ended else b"")
    cutter, found = LineCutter(100), []
    for at in range(0, len(text), size):
        offsets, values = cutter.lines(text[at : at + size], final=False)
        found += list(zip(offsets.tolist(), values, strict=True))
    offsets, values = cutter.lines(b"", final=True)
    found += list(zip(offsets.tolist(), values, strict=True))
    expected, at = [], 100
    for line in text.split(b"\n"):
        if line.removesuffix(b"\r"):
            expected.append((at, line.removesuffix(b"\r")))
        at += len(line) + 1
    assert found == expected


def test_a_line_without_end_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 4)
    cutter = LineCutter(0)
    assert cutter.lines(b"abcdef", final=False)[1] == [b"abcdef"]
    offsets, values = cutter.lines(b"g\nh\n", final=False)
    assert (offsets.tolist(), values) == ([6, 8], [b"g", b"h"])


def test_files_are_partitions_that_end_and_go_on_from_a_position(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(b"%s%d\n" % (name.encode(), at) for at in range(5)) + b"last")
    positions = Positions()
    first = source(tmp_path / "*.jsonl", positions)
    assert not first.finished()
    some = read(first, positions, 4, most=2)
    assert not first.finished()
    first.close()
    again = source(tmp_path / "*.jsonl", positions)
    rest = read(again, positions, 8, most=3)
    assert again.poll(most=3, timeout_s=5) == []
    assert again.finished()
    again.close()
    assert sorted(some + rest) == sorted([b"%s%d" % (name, at) for name in (b"a", b"b") for at in range(5)] + [b"last", b"last"])
    assert positions.log == [("assigned", (str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")))] * 2
    assert set(positions.offsets.values()) == {5 * 3 + 4}


def test_a_followed_file_waits_for_the_end_of_a_line_and_for_new_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LISTED_EVERY_S", 0.0)
    positions, log = Positions(), tmp_path / "a.jsonl"
    followed = source(tmp_path / "*.jsonl", positions, follow=True)
    assert followed.poll(most=9, timeout_s=0) == []
    log.write_bytes(b"one\ntw")
    assert read(followed, positions, 1) == [b"one"]
    assert followed.poll(most=9, timeout_s=0) == []
    with log.open("ab") as out:
        out.write(b"o\n")
    (tmp_path / "b.jsonl").write_bytes(b"three\n")
    assert sorted(read(followed, positions, 2)) == [b"three", b"two"]
    assert not followed.finished()
    followed.seek(str(log), 4)
    positions.offsets[str(log)] = 4
    assert read(followed, positions, 1) == [b"two"]
    assert followed.lag() == {str(log): 0, str(tmp_path / "b.jsonl"): 0}
    followed.close()


def test_a_file_in_place_of_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"one\n")
    with pytest.raises(InputError, match=r"a\.jsonl: expected the 9 bytes that were read before, and it has 4: another file"):
        source(tmp_path / "a.jsonl", Positions({str(tmp_path / "a.jsonl"): 9})).poll(most=1, timeout_s=0)


def test_no_file_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected at least one file, found none"):
        source(tmp_path / "*.jsonl", Positions())


@pytest.mark.parametrize("address", ["http://host/x", "s3://bucket/x"])
def test_another_address_is_no_source(address: str) -> None:
    with pytest.raises(InputError, match=r"expected a source \(kafka://HOST:PORT/TOPIC, redis://"):
        open_source(address, Positions(), group="g")
