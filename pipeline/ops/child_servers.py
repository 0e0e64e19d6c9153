"""Run servers as child processes that can't outlive this one, and report the end of their log when they fail."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.contract.errors import RunError

STOP_S = 15.0
_POLL_S = 0.2
_LINES, _BYTES = 12, 16_384  # of a log: enough for a sentence, or the end of a traceback
_TENSORFLOW_LOG = re.compile(r"[IW]\d{4} [\d:.]+ |WARNING: All log messages before absl")  # printed whenever it is imported


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        name: shown in messages.
        process: its standard input is the pipe that closes when this process ends.
        log: file of its output.
        log_offset: length of the log before it started; earlier servers wrote that part.
    """

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path
    log_offset: int

    def check(self) -> None:
        """Raise RunError with the end of its log if it has ended."""
        code = self.process.poll()
        if code is None:
            return
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        raise RunError(f"the {self.name} has ended {how}; the end of {self.log}:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        with self.log.open("rb") as log:
            log.seek(max(self.log_offset, self.log.stat().st_size - _BYTES))
            lines = log.read().decode("utf-8", "replace").strip().splitlines()
        return "\n".join([f"    {line}" for line in lines if not _TENSORFLOW_LOG.match(line)][-_LINES:]) or "    (nothing)"


@contextmanager
def child_server(name: str, module: str, args: Sequence[str], log: Path) -> Iterator[Server]:
    """Run `python -m module` until the block ends, or this process, however it ends."""
    command = [sys.executable, "-m", "pipeline.ops.attached", module, *args]
    with log.open("ab") as out:
        log_offset = out.tell()
        # In a session of its own: Ctrl-C reaches this process alone, which ends one server after the other.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out, start_new_session=True)
    try:
        yield Server(name, process, log, log_offset)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except BaseException as error:  # too slow, or interrupted again
            process.kill()
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
        finally:
            if process.stdin:
                process.stdin.close()


def wait_until_one_ends(servers: Sequence[Server]) -> None:
    """Wait until one of them ends, which none should.

    Raises:
        RunError: one has ended.
    """
    while True:
        for server in servers:
            server.check()
        time.sleep(_POLL_S)


@contextmanager
def interrupt_on_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block at SIGTERM and SIGHUP, as at Ctrl-C; under `nohup` SIGHUP stays ignored."""

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if number != signal.SIGHUP or handler != signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
