"""Find the process that listens on a port of this machine."""

import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten

_LONGEST = 160  # of a command
_LISTENS = "0A"  # a socket's state in /proc/net/tcp


def in_use(host: str, port: int) -> bool:
    """Return whether a process listens on the port already.

    Raises:
        OSError: the port can't be listened on for another reason, such as one below 1024 without the right to it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection that has just ended doesn't occupy the port
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
    return False


def listener(port: int, proc: Path = Path("/proc")) -> str:
    """Return text such as `process 4711 (python -m http.server 8080)`; "another process" if /proc doesn't show it."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port, proc)}
    for folder in sorted(proc.glob("[0-9]*")) if sockets else ():
        try:
            if any(str(handle.readlink()) in sockets for handle in (folder / "fd").iterdir()):
                words = (folder / "cmdline").read_bytes().decode("utf-8", "replace").rstrip("\0").split("\0")
                return f"process {folder.name} ({shorten(' '.join(words), _LONGEST, placeholder=' ...')})"
        except OSError:  # it has ended meanwhile, or is another user's
            continue
    return "another process"


def _inodes(port: int, proc: Path) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            rows = (proc / "net" / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, rows):
            if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]
