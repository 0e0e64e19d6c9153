"""Erasing a shopper: from complete files at once, from the others when they are, and by a wish that survives a crash."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from serving.exposure.__main__ import main
from serving.exposure.erase import erase, request_erasure
from serving.exposure.pseudonym import pseudonym
from serving.exposure.serialization import EventRows
from tests.serving.exposure.shop_log import SHOP, START_US, click, dataset, exposure, log

ROOT = Path(__file__).resolve().parents[3]
ROWS = EventRows(dataset())
NOW_US = time.time_ns() // 1000


def lines(folder: Path, ending: str = "jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob(f"*.{ending}")) for line in path.read_text().splitlines()]


def written(folder: Path) -> None:
    """Nine requests with a click each, of shoppers u0 to u2 in turn."""
    opened = log(folder)
    for n in range(9):
        opened.offer(exposure(n))
        opened.commit([click(n)]).result()
    opened.close(10)


def test_no_line_of_the_shopper_is_left_and_all_others_are(tmp_path: Path) -> None:
    written(tmp_path)
    before = lines(tmp_path)
    request_erasure(tmp_path, "u1", now_us=NOW_US)
    done = erase(tmp_path, ROWS)
    assert (done.lines, done.files, done.waiting) == (3 * (1 + 2 + 1), 3, 0)
    assert lines(tmp_path) == [row for row in before if row["user"] != "u1"]
    assert b"u1" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())  # nor in a wish
    assert erase(tmp_path, ROWS).lines == 0


def test_what_he_does_later_stays(tmp_path: Path) -> None:
    written(tmp_path)
    request_erasure(tmp_path, "u1", now_us=START_US + 4 * 60_000_000)  # his second request; its click is later
    erase(tmp_path, ROWS)
    assert {row["request"] for row in lines(tmp_path) if row["user"] == "u1" and row.get("action") != "click"} == {"r7"}
    assert {row["request"] for row in lines(tmp_path) if row["user"] == "u1" and row.get("action") == "click"} == {"r4", "r7"}


def test_a_file_that_only_he_is_in_goes(tmp_path: Path) -> None:
    opened = log(tmp_path)
    opened.commit([click(1)]).result()
    opened.close(10)
    request_erasure(tmp_path, "u1", now_us=NOW_US)
    assert (erase(tmp_path, ROWS).files, list(tmp_path.glob("*.jsonl*"))) == (1, [])


def test_a_file_that_is_still_written_is_done_when_it_is_complete(tmp_path: Path) -> None:
    opened = log(tmp_path)
    opened.commit([click(1), click(2)]).result()
    request_erasure(tmp_path, "u1", now_us=time.time_ns() // 1000)
    assert (erase(tmp_path, ROWS).waiting, len(lines(tmp_path, "open"))) == (1, 2)
    opened.close(10)
    done = erase(tmp_path, ROWS)
    assert (done.lines, done.waiting, [row["user"] for row in lines(tmp_path)]) == (1, 0, ["u2"])


def test_a_name_that_is_part_of_another_or_of_a_value_is_not_him(tmp_path: Path) -> None:
    opened = log(tmp_path)
    opened.commit([click(1, shopper="u11"), click(2, shopper="x", session="u1", item="u1"), click(3, shopper='u"1')]).result()
    opened.close(10)
    request_erasure(tmp_path, "u1", now_us=NOW_US)
    request_erasure(tmp_path, 'u"1', now_us=NOW_US)
    assert erase(tmp_path, ROWS).lines == 1
    assert [row["user"] for row in lines(tmp_path)] == ["u11", "x"]


def test_a_rewriting_that_was_broken_off_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path)
    before = lines(tmp_path)
    request_erasure(tmp_path, "u1", now_us=NOW_US)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            erase(tmp_path, ROWS)
    assert lines(tmp_path) == before
    (tmp_path / "gone.jsonl.rewritten").write_text("what a kill left behind")
    erase(tmp_path, ROWS)
    assert lines(tmp_path) == [row for row in before if row["user"] != "u1"]
    assert not list(tmp_path.glob("*.rewritten"))


def test_from_the_command_line_with_a_salt(tmp_path: Path) -> None:
    salt, folder = bytes(range(16)), tmp_path / "log"
    (tmp_path / "shop.yaml").write_text(SHOP)
    opened = log(folder)
    opened.commit([click(n, shopper=pseudonym(f"u{n}", salt)) for n in range(3)]).result()
    line = [sys.executable, "-m", "serving.exposure", "forget", str(tmp_path / "shop.yaml"), str(folder)]
    environment = {**os.environ, "SHELFRANK_LOG_SALT": salt.hex(), "PYTHONPATH": str(ROOT)}
    waits = subprocess.run([*line, "u1"], capture_output=True, text=True, env=environment)
    assert (waits.returncode, "run this again" in waits.stdout) == (1, True), waits.stderr
    opened.close(10)
    done = subprocess.run(line, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (0, "1 lines erased from 1 files\n"), done.stderr
    assert [row["user"] for row in lines(folder)] == [pseudonym("u0", salt), pseudonym("u2", salt)]


SALT = bytes(range(16))
DEVICES = [("d1", "a"), ("d2", "b"), ("d3", "a")]


def by_hand(monkeypatch: pytest.MonkeyPatch, *given: str, salt: bytes | None) -> int:
    monkeypatch.setenv("SHELFRANK_LOG_SALT", salt.hex() if salt else "")
    monkeypatch.setattr(sys, "argv", ["serving.exposure", "forget", *given])
    return main()


@pytest.fixture
def shop_with_devices(tmp_path: Path) -> Path:
    (tmp_path / "shop.yaml").write_text(SHOP.replace("actions:\n", "identities: {path: d.csv, id: device, user: account}\nactions:\n", 1))
    return tmp_path


def logged(folder: Path, salt: bytes | None) -> None:
    opened = log(folder)
    shoppers = ("a", "d1", "b", "d2", "d3", "c")
    opened.commit([click(n, shopper=pseudonym(shopper, salt)) for n, shopper in enumerate(shoppers)]).result()
    opened.close(10)


@pytest.mark.parametrize("named", ["a", "d1", " d3"])
@pytest.mark.parametrize(
    ("salt", "table_salt"), [(None, None), (SALT, None), (SALT, SALT)], ids=["plain", "salted", "salted, table of keys"]
)
def test_by_hand_all_ids_of_a_shopper_are_forgotten(
    shop_with_devices: Path, monkeypatch: pytest.MonkeyPatch, named: str, salt: bytes | None, table_salt: bytes | None
) -> None:
    folder = shop_with_devices
    logged(folder / "log", salt)
    (folder / "state" / "catalogue").mkdir(parents=True)
    rows = sorted((pseudonym(device, table_salt), pseudonym(account, table_salt)) for device, account in DEVICES)
    pl.DataFrame(rows, schema=["id", "user"], orient="row").write_parquet(folder / "state" / "catalogue" / "identities.parquet")
    given = (str(folder / "shop.yaml"), str(folder / "log"), named, "--state", str(folder / "state"))
    assert by_hand(monkeypatch, *given, salt=salt) == 0
    assert [row["user"] for row in lines(folder / "log")] == [pseudonym(each, salt) for each in ("b", "d2", "c")]


def test_by_hand_without_the_table_only_what_is_named_goes_and_it_says_so(
    shop_with_devices: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shop_with_devices
    logged(folder / "log", None)
    given = (str(folder / "shop.yaml"), str(folder / "log"))
    assert by_hand(monkeypatch, *given, "a", salt=None) == 1
    assert [row["user"] for row in lines(folder / "log")] == ["d1", "b", "d2", "d3", "c"]
    assert "run this again with `--state DIR`" in capsys.readouterr().out
    assert by_hand(monkeypatch, *given, salt=None) == 0  # nobody is named
    assert by_hand(monkeypatch, *given, "a", "--state", str(folder), salt=None) == 2
    assert "expected the second ids of the last ingestion in" in capsys.readouterr().err
    (folder / "shop.yaml").write_text(SHOP)
    assert by_hand(monkeypatch, *given, "b", salt=None) == 0


def test_one_process_may_take_the_same_request_twice_at_once(tmp_path: Path) -> None:
    """Over HTTP, and from the store that tells it of requests elsewhere."""
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: request_erasure(tmp_path, "u1", now_us=NOW_US + n), range(400)))
    (request,) = tmp_path.iterdir()
    assert json.loads(request.read_text())["shopper"] == "u1"
