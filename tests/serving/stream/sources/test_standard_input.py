"""Lines of a pipe come as they are written, numbered on from the position."""

import os
from collections.abc import Iterator

import pytest

from serving.stream.sources.standard_input import StandardInputSource
from tests.serving.stream.sources.positions import Positions


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)


def test_lines_come_before_the_end_and_are_numbered_on(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    positions = Positions({"stdin": 7})
    source = StandardInputSource(positions, descriptor=reader)
    assert source.poll(most=9, timeout_s=0.01) == []
    os.write(writer, b"one\ntwo\nthr")
    assert positions.take(source.poll(most=1, timeout_s=60)) == [b"one"]
    assert source.lag() == {"stdin": 1}
    os.write(writer, b"ee\nfour")
    assert positions.take(source.poll(most=9, timeout_s=60)) == [b"two", b"three"]
    assert not source.finished()
    os.close(writer)
    assert positions.take(source.poll(most=9, timeout_s=60)) == [b"four"]
    assert source.finished()
    assert positions.offsets == {"stdin": 11}


def test_going_back_counts_what_cannot_be_read_again(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    source = StandardInputSource(Positions(), descriptor=reader)
    os.write(writer, b"one\ntwo\n")
    source.poll(most=9, timeout_s=60)
    source.seek("stdin", 1)
    os.write(writer, b"three\n")
    os.close(writer)
    (messages,) = source.poll(most=9, timeout_s=60)
    assert (messages.offsets.tolist(), messages.lost) == ([2], 1)
