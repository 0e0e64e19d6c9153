"""What the guard remembers, in one SQLite file: how far the log is read, and all that is counted of the trial.

What is read and what it counts for are written together, so that a guard which is killed goes on where it was and counts nothing twice.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from components.contract.errors import ShelfRankError
from serving.guard.attribution import AnsweredRequest, Click, clicked_request
from serving.guard.counts import Tally
from serving.guard.decision import Verdict
from serving.guard.e_process import Numbers
from serving.guard.log_parser import Request, Side, Trial
from serving.guard.sequential_test import Stretch, Watch

SIDES: tuple[Side, Side] = ("canary", "stable")
_BEFORE = ("waiting", "files", "shoppers", "shown", "clicks", "trial")  # tables of ledgers that counted otherwise
_TABLES = """
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, read INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counted (shopper TEXT PRIMARY KEY, stretch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shown (
    request TEXT, shopper TEXT, session TEXT, time INTEGER, last INTEGER NOT NULL, side TEXT,
    PRIMARY KEY (request, shopper, session, time)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS shown_by_time ON shown (time);
CREATE INDEX IF NOT EXISTS shown_waiting ON shown (time, request) WHERE side IS NOT NULL;
CREATE TABLE IF NOT EXISTS clicks (
    request TEXT, shopper TEXT, session TEXT, time INTEGER, PRIMARY KEY (request, shopper, session, time)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS clicks_by_time ON clicks (time);
CREATE TABLE IF NOT EXISTS trial (at INTEGER PRIMARY KEY CHECK (at = 0), told TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Block:
    """What is counted since the last look."""

    canary: Tally = field(default_factory=Tally.of)
    stable: Tally = field(default_factory=Tally.of)

    def plus(self, side: Side, counts: Tally) -> "Block":
        """With a request more."""
        return replace(self, **{side: getattr(self, side).plus(counts)})

    @property
    def size(self) -> int:
        """Requests in it, answered or settled."""
        return int(sum(float(each.requests + each.settled) for each in (self.canary, self.stable)))


@dataclass(frozen=True)
class Standing:
    """How a trial stands.

    Attributes:
        trial: which.
        watch: blocks that are complete.
        answered: the block of requests as they are answered, of shoppers who are new in the trial.
        again: the same of shoppers who are new in the present stretch.
        stretch_left: how many requests the present stretch takes yet; 0 before it began.
        requests: of the trial, whether they count or not.
        settled: the block of requests whose time for a click is over.
        found: the verdict that ended it, None as long as it goes on.
        found_us: when that was.
        unreadable: lines that were left out.
    """

    trial: Trial
    watch: Watch = field(default_factory=Watch.new)
    answered: Block = Block()
    again: Block = Block()
    stretch_left: int = 0
    requests: int = 0
    settled: Block = Block()
    found: Verdict | None = None
    found_us: int = 0
    unreadable: int = 0


@final
class Ledger:
    """The file.

    Args:
        file: of the ledger; None keeps it in memory.

    Raises:
        ShelfRankError: the file isn't a ledger.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._db = sqlite3.connect(":memory:" if file is None else file, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "files" in tables and not tables.isdisjoint({"waiting", "shoppers"}):
                # All that it holds is counted anew from the log.
                self._db.executescript("".join(f"DROP TABLE IF EXISTS {table};" for table in _BEFORE))
            self._db.executescript(_TABLES)
        except sqlite3.DatabaseError as error:
            raise self._broken(error) from None

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is written within is written whole or not at all."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def standing(self) -> Standing | None:
        """How the trial stands, None where there is none.

        Raises:
            ShelfRankError: what the file holds can't be read.
        """
        row = self._db.execute("SELECT told FROM trial").fetchone()
        try:
            return None if row is None else _standing(json.loads(row[0]))
        except (ValueError, TypeError, KeyError) as error:
            raise self._broken(error) from None

    def keep(self, standing: Standing) -> None:
        """Write how the trial stands."""
        self._db.execute("INSERT OR REPLACE INTO trial VALUES (0, ?)", (json.dumps(_told(standing)),))

    def begin(self, trial: Trial) -> Standing:
        """A new trial, of which nothing is counted."""
        self.end()
        standing = Standing(trial)
        self.keep(standing)
        return standing

    def end(self) -> None:
        """Forget the trial; how far the files are read stays."""
        for table in ("trial", "counted", "shown", "clicks"):
            self._db.execute(f"DELETE FROM {table}")

    def read(self) -> dict[str, int]:
        """File to how far it is read."""
        return dict(self._db.execute("SELECT name, read FROM files"))

    def have_read(self, files: Mapping[str, int]) -> None:
        """Files are read so far."""
        self._db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?)", files.items())

    def count(self, shopper: str, stretch: int) -> tuple[bool, bool]:
        """Note that a shopper came in a stretch: whether he is new in the trial, and whether in the stretch."""
        if self._db.execute("INSERT OR IGNORE INTO counted VALUES (?, ?)", (shopper, stretch)).rowcount:
            return True, True
        found = self._db.execute("UPDATE counted SET stretch = ? WHERE shopper = ? AND stretch < ?", (stretch, shopper, stretch))
        return False, bool(found.rowcount)

    def wait_for(self, request: Request, *, first: bool, gap_us: int) -> None:
        """Let a shopper's first request wait for a click; later ones don't, but clicks may be theirs.

        What comes under one id, shopper and session within `gap_us` of the last is the same request again.
        """
        same = (request.request, request.shopper, request.session)
        again = self._db.execute(
            "UPDATE shown SET last = max(last, ?4)"
            " WHERE request = ?1 AND shopper = ?2 AND session = ?3 AND ?4 BETWEEN time - ?5 AND last + ?5",
            (*same, request.time_us, gap_us),
        ).rowcount
        if not again:
            side = request.side if first else None
            self._db.execute("INSERT INTO shown VALUES (?, ?, ?, ?, ?, ?)", (*same, request.time_us, request.time_us, side))

    def clicked(self, clicks: Sequence[Click]) -> None:
        """Keep clicks until their requests are settled."""
        rows = [(click.request, click.shopper, click.session, click.time_us) for click in clicks]
        self._db.executemany("INSERT OR IGNORE INTO clicks VALUES (?, ?, ?, ?)", rows)

    def settle(self, until_us: int, most: int, *, window_us: int, gap_us: int) -> list[tuple[Side, bool]]:
        """Take out the first requests up to a moment: of each its side, and whether there was a click within its window."""
        waiting = self._db.execute(
            "SELECT request, shopper, session, time, side FROM shown"
            " WHERE side IS NOT NULL AND time <= ? ORDER BY time, request, shopper LIMIT ?",
            (until_us, most),
        ).fetchall()
        settled: list[tuple[Side, bool]] = []
        for request, shopper, session, time_us, side in waiting:
            clicks = self._db.execute(
                "SELECT * FROM clicks WHERE request = ? AND time BETWEEN ? AND ?", (request, time_us - gap_us, time_us + window_us)
            ).fetchall()
            lists = self._db.execute("SELECT shopper, session, time FROM shown WHERE request = ?", (request,)).fetchall() if clicks else []
            shown, mine = [AnsweredRequest(*each) for each in lists], AnsweredRequest(shopper, session, time_us)
            owners = (clicked_request(Click(*click), shown, window_us=window_us, gap_us=gap_us) for click in clicks)
            settled.append((side, mine in owners))
        done = [row[:4] for row in waiting]
        self._db.executemany("UPDATE shown SET side = NULL WHERE request = ? AND shopper = ? AND session = ? AND time = ?", done)
        return settled

    def forget(self, before_us: int) -> None:
        """Let go of clicks that no request can be waiting for any more, and of requests that such clicks can't be of."""
        self._db.execute("DELETE FROM clicks WHERE time < ?", (before_us,))
        self._db.execute("DELETE FROM shown WHERE time < ? AND side IS NULL", (before_us,))

    def waiting(self) -> int:
        """How many requests wait for their time to be over."""
        return int(self._db.execute("SELECT count(*) FROM shown WHERE side IS NOT NULL").fetchone()[0])

    def _broken(self, error: Exception) -> ShelfRankError:
        return ShelfRankError(
            f"{self._file}: expected the guard's ledger: {error}; move it away, and the trial is counted anew from the log"
        )


def _told(standing: Standing) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        match value:
            case np.ndarray() | np.generic():
                return value.tolist()
            case dict():
                return {key: plain(each) for key, each in value.items()}
        return value

    told: dict[str, Any] = plain(asdict(standing))
    return told


def _standing(told: dict[str, Any]) -> Standing:
    watch, found = told["watch"], told["found"]
    return Standing(
        Trial(**told["trial"]),
        Watch(
            _tally(watch["canary"]),
            _tally(watch["stable"]),
            Stretch(_tally(watch["stretch"]["canary"]), _tally(watch["stretch"]["stable"]), watch["stretch"]["number"]),
            _capital(watch["capital"]),
            _capital(watch["peak"]),
        ),
        _block(told["answered"]),
        _block(told["again"]),
        told["stretch_left"],
        told["requests"],
        _block(told["settled"]),
        None if found is None else Verdict(**found),
        told["found_us"],
        told["unreadable"],
    )


def _block(told: dict[str, Any]) -> Block:
    return Block(_tally(told["canary"]), _tally(told["stable"]))


def _capital(told: dict[str, float]) -> dict[str, Numbers]:
    return {test: np.asarray(value, np.float64) for test, value in told.items()}


def _tally(told: dict[str, Any]) -> Tally:
    return Tally(**{name: np.asarray(value, np.float64) for name, value in told.items()})
