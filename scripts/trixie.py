"""A stand-in for the image `python:3.11-slim-trixie` where no registry can be reached: a debootstrap of Debian 13 and this Python in it.

The image is Debian 13's smallest system, a few libraries and a Python 3.11 built into `/usr/local`; here Debian's part is the same, and
Python is a copy of the one that runs this module, so its last digit and its compiler may be others.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from rootfs import Root, online

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
# As the image's recipe has them: named, and those that Python's own modules are linked with.
PACKAGES = "ca-certificates netbase tzdata libbz2-1.0 libffi8 liblzma5 libncursesw6 libreadline8t64 libsqlite3-0 libssl3t64 libuuid1 zlib1g"
_LEFT_OUT = shutil.ignore_patterns("site-packages", "test", "tests", "idle_test", "__pycache__", "*.a", "_tkinter*")


def lacking() -> str | None:
    """Why it can't be made here, None if it can."""
    if shutil.which("debootstrap", path="/usr/sbin:/usr/bin") is None:
        return "there is no debootstrap"
    if sys.version_info[:2] != (3, 11) or sys.base_prefix == "/usr":
        return "it takes a Python 3.11 built into a folder of its own (by pyenv, say), not the system's"
    return None


def python_slim(folder: Path) -> Path:
    """Make it in `folder`, unless it is there from before.

    Raises:
        subprocess.CalledProcessError: debootstrap failed, and printed why.
        RuntimeError: a package can't be installed.
    """
    if (folder / "made").exists():
        return folder / "root"
    root = folder / "root"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["debootstrap", "--variant=minbase", "trixie", str(root)], check=True, stdout=subprocess.DEVNULL)
    inside = online(Root(folder=root, environment=ENVIRONMENT | {"DEBIAN_FRONTEND": "noninteractive"}))
    inside.run(["sh", "-c", f"apt-get update && apt-get install -y --no-install-recommends {PACKAGES}"])
    inside.run(["sh", "-c", "apt-get clean && rm -rf /var/lib/apt/lists/*"])
    python, local = Path(sys.base_prefix), root / "usr/local"
    shutil.copytree(python / "lib/python3.11", local / "lib/python3.11", ignore=_LEFT_OUT, symlinks=True)
    (local / "lib/python3.11/site-packages").mkdir()
    shutil.copytree(python / "include/python3.11", local / "include/python3.11")
    for library in (python / "lib").glob("libpython3*.so*"):
        shutil.copy2(library, local / "lib", follow_symlinks=False)
    shutil.copy2(python / "bin/python3.11", local / "bin/python3.11")
    for name in ("python3", "python"):
        (local / "bin" / name).symlink_to("python3.11")
    inside.run(["sh", "-c", "ldconfig && PYTHONDONTWRITEBYTECODE=1 python -m ensurepip && ln -s pip3 /usr/local/bin/pip"])
    (folder / "made").touch()
    return root
