"""A folder as the root of processes: what an engine does for a container, by `unshare` and `chroot`. Needs root."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

_NEEDED = ("unshare", "nsenter", "chroot", "mount", "ip")
# What a process needs of this machine to fetch packages, as an engine hands on a proxy.
_PROXIES = tuple(f"{kind}_{word}" for kind in ("http", "https", "no", "HTTP", "HTTPS", "NO") for word in ("proxy", "PROXY"))
_NETWORK = ("PIP_", "UV_", "SSL_", "REQUESTS_CA", "CURL_CA", *_PROXIES)
_NOT_HANDED_ON = {"PIP_FIND_LINKS", "UV_CACHE_DIR", "UV_FIND_LINKS"}


def lacking() -> str | None:
    """Why processes can't be given a root of their own here, None if they can."""
    if os.geteuid() != 0:
        return "chroot needs root"
    if missing := [name for name in _NEEDED if shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") is None]:
        return f"there is no {', '.join(missing)}"
    tried = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "true"], capture_output=True, text=True, check=False)
    return f"namespaces can't be made: {tried.stderr.strip()}" if tried.returncode else None


@dataclass(frozen=True, kw_only=True)
class Root:
    """A root of processes, and how they are run in it.

    Attributes:
        folder: the root.
        environment: all that they have of one.
        user: `UID:GID`.
        cwd: as they see it.
        read_only: the root can't be written, and `/tmp` is empty and in memory; else `/run` is.
        bound: folders and files of the machine that they see besides, by path; with `read_only` they can't be written either.
        net_of: process whose network they share; 0: the machine's.
    """

    folder: Path
    environment: Mapping[str, str]
    user: str = "0:0"
    cwd: str = "/"
    read_only: bool = False
    bound: Mapping[str, Path] = field(default_factory=dict)
    net_of: int = 0

    def command(self, words: Sequence[str]) -> list[str]:
        """What is started on the machine for `words` in the root."""
        at = shlex.quote(str(self.folder))
        mounts = [f"mount --bind {at} {at}", f"mount -t proc proc {at}/proc", f"mount --rbind /dev {at}/dev"]
        if not self.read_only:
            mounts.append(f"mount -t tmpfs tmpfs {at}/run")
        else:
            mounts += [f"mount -o remount,bind,ro {at}", f"mount -t tmpfs -o mode=1777 tmpfs {at}/tmp"]
        for path, folder in self.bound.items():
            where = shlex.quote(f"{self.folder}{path}")
            if folder.is_file():
                mounts.append(f"touch {where}")
            mounts.append(f"mount --bind {shlex.quote(str(folder))} {where}")
            mounts += [f"mount -o remount,bind,ro {where}"] if self.read_only else []
        inner = ["chroot", f"--userspec={self.user}", str(self.folder), "/usr/bin/env", "-i", f"--chdir={self.cwd}"]
        inner += [f"{name}={value}" for name, value in self.environment.items()] + list(words)
        script = " && ".join([*mounts, f"exec {shlex.join(inner)}"])
        enter = ["nsenter", f"--net=/proc/{self.net_of}/ns/net"] if self.net_of else []
        return [*enter, "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script]

    def run(self, words: Sequence[str], *, timeout_s: float = 3600) -> subprocess.CompletedProcess[str]:
        """Run to the end; stdout and stderr are one text.

        Raises:
            RuntimeError: it didn't end with 0; with what it printed last.
        """
        ran = subprocess.run(
            self.command(words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout_s, check=False, env=_OURS
        )
        if ran.returncode:
            raise RuntimeError(f"{shlex.join(words)} ended with {ran.returncode}:\n{ran.stdout[-4000:]}")
        return ran

    def start(self, words: Sequence[str], output: IO[str]) -> subprocess.Popen[str]:
        """Start in the background."""
        return subprocess.Popen(self.command(words), stdout=output, stderr=subprocess.STDOUT, text=True, env=_OURS)


_OURS = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def online(root: Root) -> Root:
    """With what this machine needs to reach its package indexes: names, certificates and settings, none of which stay in the root."""
    settings = {name: value for name, value in os.environ.items() if name.startswith(_NETWORK) and name not in _NOT_HANDED_ON}
    bound = {**root.bound, "/etc/resolv.conf": Path("/etc/resolv.conf")}
    for name, value in settings.items():
        if value.startswith("/") and Path(value).is_file():  # certificates: in /run, where no package has a file of its own
            settings[name], bound[f"/run/{name}"] = f"/run/{name}", Path(value)
    return replace(root, environment={**settings, **root.environment}, bound=bound)
