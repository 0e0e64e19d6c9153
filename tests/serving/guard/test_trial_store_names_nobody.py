"""The guard's ledger outlives the log's lines: it tells shoppers apart, and names none."""

from dataclasses import replace
from pathlib import Path

from tests.serving.guard.test_monitor import click, clicks, decisions, looked, of


def test_no_file_of_the_ledger_holds_a_shoppers_id(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    mine = [of("canary", n, shopper=f"shopper-{17 + n % 2}") for n in range(4)]
    decisions(tmp_path / "log", *mine)
    clicks(tmp_path / "log", replace(click(0), shopper="shopper-17"))
    (tmp_path / "ledger").mkdir()
    looked(tmp_path / "log", ledger=tmp_path / "ledger" / "ledger.db")
    held = b"".join(path.read_bytes() for path in (tmp_path / "ledger").iterdir())
    assert b"canary" in held
    assert b"shopper-1" not in held
