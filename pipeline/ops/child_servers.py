"""Servers as child processes that can't outlive this one, and what they say when they fail."""

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
_LOOK_S = 0.2
_LINES, _BYTES = 12, 16_384  # of a log: enough for a sentence, or the end of a traceback
_CHATTER = re.compile(r"[IW]\d{4} [\d:.]+ |WARNING: All log messages before absl")  # TensorFlow's, whenever it is imported


@dataclass(frozen=True)
class Server:
    """A server that was started.

    Attributes:
        name: for people.
        process: whose standard input is the pipe by which it learns that this process has ended.
        log: file that its output goes to.
        begins_at: length of the log before it started; what stands before is of earlier ones.
    """

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path
    begins_at: int

    def check(self) -> None:
        """Raise RunError with its last words where it has ended."""
        code = self.process.poll()
        if code is None:
            return
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        raise RunError(f"the {self.name} has ended {how}; the end of {self.log}:\n{self._last_words()}")

    def _last_words(self) -> str:
        with self.log.open("rb") as log:
            log.seek(max(self.begins_at, self.log.stat().st_size - _BYTES))
            lines = log.read().decode("utf-8", "replace").strip().splitlines()
        return "\n".join([f"    {line}" for line in lines if not _CHATTER.match(line)][-_LINES:]) or "    (nothing)"


@contextmanager
def running(name: str, module: str, args: Sequence[str], log: Path) -> Iterator[Server]:
    """`python -m module`, which ends with the block, or with this process, however that ends."""
    command = [sys.executable, "-m", "pipeline.ops.attached", module, *args]
    with log.open("ab") as out:
        begins_at = out.tell()
        # A session of its own: Ctrl-C reaches this process alone, which ends one server after the other.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out, start_new_session=True)
    try:
        yield Server(name, process, log, begins_at)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except BaseException as error:  # too slow, or somebody is impatient
            process.kill()
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
        finally:
            if process.stdin:
                process.stdin.close()


def wait(servers: Sequence[Server]) -> None:
    """Until one of them ends, which neither should.

    Raises:
        RunError: one did.
    """
    while True:
        for server in servers:
            server.check()
        time.sleep(_LOOK_S)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal raise KeyboardInterrupt in the block, as Ctrl-C does. What `nohup` has had ignored stays so."""

    def interrupted(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if number != signal.SIGHUP or handler != signal.SIG_IGN:
            signal.signal(number, interrupted)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
