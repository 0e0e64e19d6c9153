"""Messages that were set aside are read again, those of one reason alone if need be."""

from pathlib import Path

import polars as pl
import pytest

from components.contract.errors import InputError
from serving.stream.interface import Source
from serving.stream.sources.open_source import open_source
from tests.serving.stream.sources.positions import Positions, read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, reasons in enumerate((["no item", "no user", "no item", "no item"], ["no user"])):
        rows = len(reasons)
        pl.DataFrame(
            {
                "partition": ["clicks/0"] * rows,
                "offset": range(rows),
                "time_us": range(10, 10 + rows),
                "payload": [f"{number}-{at}".encode() for at in range(rows)],
                "reason": reasons,
                "detail": ["x"] * rows,
            }
        ).with_columns(payload=pl.when(pl.col("offset") != 3).then("payload")).write_parquet(tmp_path / f"dead-{number}.parquet")
    (tmp_path / ".dead-2.parquet.unfinished").write_bytes(b"")
    return tmp_path


def dead_letters(folder: Path, positions: Positions, reason: str = "") -> Source:
    return open_source(f"dead-letters:{folder}{reason}", positions, group="g")


def test_every_kept_payload_comes_once_and_the_source_ends(folder: Path) -> None:
    positions = Positions()
    source = dead_letters(folder, positions)
    assert read(source, positions, 4, most=2) == [b"0-0", b"0-1", b"0-2", b"1-0"]
    assert source.finished()
    assert source.poll(most=2, timeout_s=0) == []
    assert positions.offsets == {"dead-0.parquet": 4, "dead-1.parquet": 1}
    assert source.lag() == {"dead-0.parquet": 0, "dead-1.parquet": 0}
    assert read(dead_letters(folder, Positions({"dead-0.parquet": 2, "dead-1.parquet": 1})), Positions(), 1) == [b"0-2"]
    source.seek("dead-0.parquet", 1)
    (messages,) = source.poll(most=9, timeout_s=0)
    assert (messages.values, messages.times_us.tolist()) == ([b"0-1", b"0-2"], [11, 12])


def test_one_reason_alone(folder: Path) -> None:
    positions = Positions()
    source = dead_letters(folder, positions, "?reason=no+item")
    assert read(source, positions, 2, most=1) == [b"0-0", b"0-2"]
    assert source.poll(most=1, timeout_s=0) == []
    assert source.finished()


def test_what_is_not_there_is_said_at_once(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="with the reason 'no iten', found none; there are 'no item', 'no user'"):
        dead_letters(folder, Positions(), "?reason=no+iten")
    with pytest.raises(InputError, match=r"expected dead letters \(dead-\*\.parquet\), found none"):
        dead_letters(tmp_path / "other", Positions())
