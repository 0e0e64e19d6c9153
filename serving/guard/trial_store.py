"""Store the guard's progress in one SQLite file: offsets in the log, and the counts of the trial.

Offsets and the counts of what was read are written in one transaction, so that a killed guard counts nothing twice.
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
from serving.guard.counts import VersionCounts
from serving.guard.decision import ExplainedDecision
from serving.guard.e_process import Numbers
from serving.guard.log_parser import Request, Side, Trial
from serving.guard.sequential_test import SequentialTest, Stretch

SIDES: tuple[Side, Side] = ("canary", "stable")
_OLD_TABLES = ("waiting", "files", "shoppers", "shown", "clicks", "trial")  # of a former schema
# Names of TrialState's fields in the file, where they differ.
_STORED_NAMES = {"test": "watch", "stretch_block": "again", "outcome": "found", "ended_us": "found_us"}
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
    """Hold the counts since the last look."""

    canary: VersionCounts = field(default_factory=VersionCounts.from_counts)
    stable: VersionCounts = field(default_factory=VersionCounts.from_counts)

    def plus(self, side: Side, counts: VersionCounts) -> "Block":
        """Add a request's counts to a side."""
        return replace(self, **{side: getattr(self, side).plus(counts)})

    @property
    def size(self) -> int:
        """Return its number of requests, answered or settled."""
        return int(sum(float(each.requests + each.settled) for each in (self.canary, self.stable)))


@dataclass(frozen=True)
class TrialState:
    """Hold the state of a trial.

    Attributes:
        trial: its versions and start.
        test: of the complete blocks.
        answered: incomplete block of requests as they are answered, of shoppers who are new in the trial.
        stretch_block: the same of shoppers who are new in the present stretch.
        stretch_left: requests until the present stretch ends; 0 before it began.
        requests: of the trial, whether they count or not.
        settled: incomplete block of requests whose click window is over.
        outcome: the decision that ended it, None while it goes on.
        ended_us: when that was.
        unreadable: lines that couldn't be parsed.
    """

    trial: Trial
    test: SequentialTest = field(default_factory=SequentialTest.new)
    answered: Block = Block()
    stretch_block: Block = Block()
    stretch_left: int = 0
    requests: int = 0
    settled: Block = Block()
    outcome: ExplainedDecision | None = None
    ended_us: int = 0
    unreadable: int = 0


@final
class TrialStore:
    """Read and write the file.

    Args:
        file: of the store; None keeps it in memory.

    Raises:
        ShelfRankError: the file isn't a store.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._db = sqlite3.connect(":memory:" if file is None else file, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "files" in tables and not tables.isdisjoint({"waiting", "shoppers"}):
                # Its content is counted again from the log.
                self._db.executescript("".join(f"DROP TABLE IF EXISTS {table};" for table in _OLD_TABLES))
            self._db.executescript(_TABLES)
        except sqlite3.DatabaseError as error:
            raise self._corrupt(error) from None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write everything within the block, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def state(self) -> TrialState | None:
        """Return the state of the trial, None without one.

        Raises:
            ShelfRankError: the file's content is invalid.
        """
        row = self._db.execute("SELECT told FROM trial").fetchone()
        try:
            return None if row is None else _from_json(json.loads(row[0]))
        except (ValueError, TypeError, KeyError) as error:
            raise self._corrupt(error) from None

    def save(self, state: TrialState) -> None:
        """Write the state of the trial."""
        self._db.execute("INSERT OR REPLACE INTO trial VALUES (0, ?)", (json.dumps(_to_json(state)),))

    def begin(self, trial: Trial) -> TrialState:
        """Begin a new trial, without counts."""
        self.end()
        state = TrialState(trial)
        self.save(state)
        return state

    def end(self) -> None:
        """Delete the trial; the offsets stay."""
        for table in ("trial", "counted", "shown", "clicks"):
            self._db.execute(f"DELETE FROM {table}")

    def offsets(self) -> dict[str, int]:
        """Return the offset up to which each file has been read."""
        return dict(self._db.execute("SELECT name, read FROM files"))

    def save_offsets(self, files: Mapping[str, int]) -> None:
        """Write the offsets of files."""
        self._db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?)", files.items())

    def count_shopper(self, shopper: str, stretch: int) -> tuple[bool, bool]:
        """Note a shopper's request; return whether they are new in the trial, and whether in the stretch."""
        if self._db.execute("INSERT OR IGNORE INTO counted VALUES (?, ?)", (shopper, stretch)).rowcount:
            return True, True
        updated = self._db.execute("UPDATE counted SET stretch = ? WHERE shopper = ? AND stretch < ?", (stretch, shopper, stretch))
        return False, bool(updated.rowcount)

    def add_request(self, request: Request, *, first: bool, gap_us: int) -> None:
        """Add a request: a shopper's first waits for a click; later ones don't, but may own clicks.

        A repeated id of one shopper and session within `gap_us` of the last is the same request.
        """
        key = (request.request, request.shopper, request.session)
        repeated = self._db.execute(
            "UPDATE shown SET last = max(last, ?4)"
            " WHERE request = ?1 AND shopper = ?2 AND session = ?3 AND ?4 BETWEEN time - ?5 AND last + ?5",
            (*key, request.time_us, gap_us),
        ).rowcount
        if not repeated:
            side = request.side if first else None
            self._db.execute("INSERT INTO shown VALUES (?, ?, ?, ?, ?, ?)", (*key, request.time_us, request.time_us, side))

    def add_clicks(self, clicks: Sequence[Click]) -> None:
        """Keep clicks until their requests are settled."""
        rows = [(click.request, click.shopper, click.session, click.time_us) for click in clicks]
        self._db.executemany("INSERT OR IGNORE INTO clicks VALUES (?, ?, ?, ?)", rows)

    def settle(self, until_us: int, limit: int, *, window_us: int, gap_us: int) -> list[tuple[Side, bool]]:
        """Settle the first waiting requests up to a time; return each one's side, and whether it was clicked."""
        waiting = self._db.execute(
            "SELECT request, shopper, session, time, side FROM shown"
            " WHERE side IS NOT NULL AND time <= ? ORDER BY time, request, shopper LIMIT ?",
            (until_us, limit),
        ).fetchall()
        settled: list[tuple[Side, bool]] = []
        for request, shopper, session, time_us, side in waiting:
            clicks = self._db.execute(
                "SELECT * FROM clicks WHERE request = ? AND time BETWEEN ? AND ?", (request, time_us - gap_us, time_us + window_us)
            ).fetchall()
            lists = self._db.execute("SELECT shopper, session, time FROM shown WHERE request = ?", (request,)).fetchall() if clicks else []
            candidates, settling = [AnsweredRequest(*each) for each in lists], AnsweredRequest(shopper, session, time_us)
            owners = (clicked_request(Click(*click), candidates, window_us=window_us, gap_us=gap_us) for click in clicks)
            settled.append((side, settling in owners))
        keys = [row[:4] for row in waiting]
        self._db.executemany("UPDATE shown SET side = NULL WHERE request = ? AND shopper = ? AND session = ? AND time = ?", keys)
        return settled

    def prune(self, before_us: int) -> None:
        """Delete clicks that no waiting request can own any more, and requests that can't own later clicks."""
        self._db.execute("DELETE FROM clicks WHERE time < ?", (before_us,))
        self._db.execute("DELETE FROM shown WHERE time < ? AND side IS NULL", (before_us,))

    def waiting(self) -> int:
        """Return how many requests wait for their click window to end."""
        return int(self._db.execute("SELECT count(*) FROM shown WHERE side IS NOT NULL").fetchone()[0])

    def _corrupt(self, error: Exception) -> ShelfRankError:
        return ShelfRankError(
            f"{self._file}: expected the guard's ledger: {error}; move it away, and the trial is counted anew from the log"
        )


def _to_json(state: TrialState) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        match value:
            case np.ndarray() | np.generic():
                return value.tolist()
            case dict():
                return {key: plain(each) for key, each in value.items()}
        return value

    return {_STORED_NAMES.get(name, name): plain(value) for name, value in asdict(state).items()}


def _from_json(stored: dict[str, Any]) -> TrialState:
    test, outcome = stored["watch"], stored["found"]
    return TrialState(
        Trial(**stored["trial"]),
        SequentialTest(
            _counts(test["canary"]),
            _counts(test["stable"]),
            Stretch(_counts(test["stretch"]["canary"]), _counts(test["stretch"]["stable"]), test["stretch"]["number"]),
            _capital(test["capital"]),
            _capital(test["peak"]),
        ),
        _block(stored["answered"]),
        _block(stored["again"]),
        stored["stretch_left"],
        stored["requests"],
        _block(stored["settled"]),
        None if outcome is None else ExplainedDecision(**outcome),
        stored["found_us"],
        stored["unreadable"],
    )


def _block(stored: dict[str, Any]) -> Block:
    return Block(_counts(stored["canary"]), _counts(stored["stable"]))


def _capital(stored: dict[str, float]) -> dict[str, Numbers]:
    return {test: np.asarray(value, np.float64) for test, value in stored.items()}


def _counts(stored: dict[str, Any]) -> VersionCounts:
    return VersionCounts(**{name: np.asarray(value, np.float64) for name, value in stored.items()})
