"""A server that `shelfrank serve` starts ends with it, however that ends; with the real servers in test_whole_run.py."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from components.contract.errors import RunError
from pipeline.ops.child_servers import child_server

STARTER = """
import sys
from pathlib import Path
from pipeline.ops.child_servers import child_server, interrupt_on_signals, wait_until_one_ends

try:
    with interrupt_on_signals(), child_server("little server", "http.server", ["0", "--bind", "127.0.0.1"], Path(sys.argv[1])) as server:
        print("child", server.process.pid, flush=True)
        wait_until_one_ends([server])
except KeyboardInterrupt:
    print("orderly", flush=True)
"""


def alive(pid: int) -> bool:
    """Whether the process runs: one that has ended and that nobody has asked after doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "not within a minute"
        time.sleep(0.02)


def starter(log: Path, **how: object) -> "subprocess.Popen[str]":
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    command = [sys.executable, "-c", STARTER, str(log)]
    return subprocess.Popen(command, env=environment, text=True, **({"stdout": subprocess.PIPE} | how))  # type: ignore[call-overload,no-any-return]


def child_of(line: str) -> int:
    word, pid = line.split()
    assert word == "child"
    return int(pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_whatever_ends_the_starter_ends_the_server(number: signal.Signals, tmp_path: Path) -> None:
    with starter(tmp_path / "log") as process:
        assert process.stdout is not None
        child = child_of(process.stdout.readline())
        until(lambda: "Serving HTTP" in (tmp_path / "log").read_text())
        process.send_signal(number)
        said = process.stdout.read()
    until(lambda: not alive(child))
    assert said == ("" if number is signal.SIGKILL else "orderly\n")


def test_a_closed_terminal_ends_the_server(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    ends = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "start_new_session": True}
    with starter(tmp_path / "log", preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), **ends):
        os.close(theirs)
        said = b""
        while b"\n" not in said:
            said += os.read(ours, 100)
        child = child_of(said.decode().splitlines()[0])
        os.close(ours)
    until(lambda: not alive(child))


def test_a_server_that_ends_by_itself_tells_its_last_words_of_this_time(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("the words of an earlier one\n")
    with child_server("little server", "http.server", ["no port"], log) as server:
        until(lambda: server.process.poll() is not None)
        with pytest.raises(
            RunError, match=r"the little server has ended with exit code 2; the end of .*log:\n(?s:.*)invalid int value"
        ) as raised:
            server.check()
    assert "earlier" not in str(raised.value)


def test_a_server_that_is_killed_says_by_what(tmp_path: Path) -> None:
    with child_server("little server", "http.server", ["0", "--bind", "127.0.0.1"], tmp_path / "log") as server:
        server.check()
        server.process.kill()
        server.process.wait()
        with pytest.raises(RunError, match=r"has ended by SIGKILL; the end of"):
            server.check()
