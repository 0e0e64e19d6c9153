"""Make `.venv` from the locks: every package by hash, the project itself editable. Run: `python3.11 scripts/install.py`.

A second run with nothing changed returns at once: the last step writes a stamp, the hash of all that set-up depends on. A run
that is broken off leaves no stamp, and the next one goes on from what is there. Every failure ends in one sentence on what to do.
"""

import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import old_glibc

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON, UV, STAMP = VENV / "bin/python", VENV / "bin/uv", VENV / "shelfrank.stamp"
DEV_LOCK, UV_LOCK = "requirements/dev.lock", "requirements/uv.lock"
INPUTS = (DEV_LOCK, UV_LOCK, "pyproject.toml", "scripts/install.py", "scripts/old_glibc.py")
DISK_BYTES = 6 * 10**9  # 3.8 GB of packages with their bytecode, and the archives they come from
HEARTBEAT_S = 15
PROOF = "import ml_metadata, tensorflow_data_validation, tensorflow_recommenders, tfx.components"
NETWORK_WORDS = ("error sending request", "failed to fetch", "dns error", "timed out", "connection", "from versions: none")


class SetupError(Exception):
    """Set-up can't go on; the message is one sentence that says what to do."""


def fingerprint(root: Path) -> str:
    """Hash of the folder's place and of every file that decides what is installed."""
    digest = hashlib.sha256(str(root).encode())
    for name in INPUTS:
        digest.update(hashlib.sha256((root / name).read_bytes()).digest())
    return digest.hexdigest()


def check_python(version: tuple[int, int]) -> None:
    """Raise SetupError unless `version` (major, minor) is 3.11."""
    if version != (3, 11):
        raise SetupError(f"this is Python {version[0]}.{version[1]} and TFX needs 3.11: name one by `make install PYTHON=python3.11`")


def check_platform(system: str, machine: str) -> None:
    """Raise SetupError where TFX 1.21 has no builds."""
    if (system, machine) not in {("linux", "x86_64"), ("darwin", "arm64")}:
        raise SetupError(f"TFX has no builds for {system} on {machine}: use x86-64 Linux, macOS on Apple silicon, or a container")


def check_venv_module() -> None:
    """Raise SetupError when Python can't make environments (Debian ships that apart)."""
    if any(importlib.util.find_spec(name) is None for name in ("venv", "ensurepip")):
        raise SetupError("this Python can't make environments: install its venv module (Debian, Ubuntu: apt install python3.11-venv)")


def check_disk(folder: Path, free_bytes: int) -> None:
    """Raise SetupError when there is no room for the packages."""
    if free_bytes < DISK_BYTES:
        need_gb, free_gb = DISK_BYTES / 1e9, free_bytes / 1e9
        raise SetupError(f"{folder} has {free_gb:.1f} GB free and the packages need {need_gb:.0f} GB: make room or clone to a larger disk")


def check_compiler(compiler: str, include: Path) -> None:
    """Raise SetupError unless `compiler` builds against Python's headers in `include`: pyfarmhash has no wheels."""
    if shutil.which(compiler) is None:
        remedy = "install one (Debian, Ubuntu: apt install g++, macOS: xcode-select --install)"
        raise SetupError(f"pyfarmhash is built from source and there is no C++ compiler '{compiler}': {remedy}")
    probe = [compiler, "-x", "c++", "-fsyntax-only", f"-I{include}", "-"]
    if subprocess.run(probe, input=b"#include <Python.h>\n", capture_output=True, check=False).returncode:
        remedy = "install Python's headers (Debian, Ubuntu: apt install python3.11-dev, macOS: xcode-select --install)"
        raise SetupError(f"pyfarmhash is built from source and '{compiler}' can't use Python.h in {include}: {remedy}")


def failure(what: str, output: str) -> SetupError:
    """The sentence for a command that failed, from what it printed."""
    text = output.lower()
    if "no space left" in text:
        return SetupError(f"{what} failed because the disk is full: make room and run the same command again")
    if "hash" in text and "mismatch" in text:
        return SetupError(f"{what} failed because the package index serves other files than the locks name: check which index is set")
    if any(word in text for word in NETWORK_WORDS):
        remedy = "check the network, or name an index in PIP_INDEX_URL and UV_DEFAULT_INDEX"
        return SetupError(f"{what} failed because the package index can't be reached: {remedy}")
    return SetupError(f"{what} failed as printed above: run `make clean` and the same command again")


def run(command: Sequence[str | Path], what: str, **environment: str) -> None:
    """Run a quiet command with a sign of life now and then; its output is shown only when it fails.

    Raises:
        SetupError: it ended with an error.
    """
    start = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=os.environ | environment)
        try:
            while process.poll() is None:
                try:
                    process.wait(timeout=HEARTBEAT_S)
                except subprocess.TimeoutExpired:
                    say(f"      ... {time.monotonic() - start:.0f} s")
        finally:
            process.kill()
        if process.returncode:
            output.seek(0)
            text = output.read().decode(errors="replace")
            print(text, file=sys.stderr)
            raise failure(what, text)


def say(line: str) -> None:
    """Print a line of progress at once, also into a pipe."""
    print(line, flush=True)


def venv_is_ours() -> bool:
    """True if `.venv` was made in this very place and its Python runs: the commands in an environment hold its path."""
    record = VENV / "pyvenv.cfg"
    if not record.exists() or f" {VENV}\n" not in record.read_text() or not PYTHON.exists():
        return False
    probe: list[str | Path] = [PYTHON, "-c", "import sys; sys.exit(sys.version_info[:2] != (3, 11))"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def check_own(venv: Path) -> None:
    """Raise SetupError where the environment is another checkout's: making one here would empty that."""
    if venv.is_symlink():
        raise SetupError(f"{venv} is a link to {venv.resolve()}, which setting up here would empty; remove the link")


def check_machine() -> None:
    """Raise SetupError for whatever can be known to fail before anything is fetched."""
    check_own(VENV)
    check_python(sys.version_info[:2])
    check_platform(sys.platform, platform.machine())
    old_glibc.check(old_glibc.version())
    check_venv_module()
    if not STAMP.exists():  # else the packages were there once, and the installer's cache has what is built from source
        check_disk(ROOT, shutil.disk_usage(ROOT).free)
        check_compiler((sysconfig.get_config_var("CXX") or "c++").split()[0], Path(sysconfig.get_paths()["include"]))


def install() -> None:
    """All the steps; a SetupError or UnknownLayoutError says in one sentence why one failed."""
    say(f"[1/5] Python {platform.python_version()} environment in .venv")
    if not venv_is_ours():
        run([sys.executable, "-m", "venv", "--clear", VENV], "making .venv")

    say("[2/5] uv, the installer")
    pip: list[str | Path] = [PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    run([*pip, "--no-deps", "--require-hashes", "-r", UV_LOCK], "fetching uv by pip")

    say(f"[3/5] packages of {DEV_LOCK} (about 3 GB; one to three minutes, more on a slow line)")
    quiet: list[str | Path] = ["-q", "--no-progress", "--python", PYTHON]
    # Two wheels are tagged for glibc 2.39; old_glibc makes them load from 2.34 on.
    target = ["--python-platform", "x86_64-manylinux_2_39"] if sys.platform == "linux" else []
    # What is built from source is built by locked tools too.
    locked = ["--require-hashes", "--build-constraints", DEV_LOCK, "--require-build-hashes"]
    # Bytecode now: under PYTHONDONTWRITEBYTECODE every process would compile TFX again.
    run([UV, "pip", "sync", *quiet, *target, *locked, "--compile-bytecode", DEV_LOCK], "installing the packages")

    say("[4/5] extensions for this C library, and the project itself")
    say(f"      {old_glibc.main(VENV / 'lib/python3.11/site-packages', old_glibc.version())}")
    run([UV, "pip", "install", *quiet, "--no-deps", "--no-build-isolation", "-e", "."], "installing the project")

    say("[5/5] check that everything imports")
    run([PYTHON, "-c", PROOF], "importing TFX", TF_USE_LEGACY_KERAS="1", TF_CPP_MIN_LOG_LEVEL="3")


def main() -> int:
    """Install unless the stamp says that nothing changed; 0 on success, 1 after a sentence on stderr."""
    start = time.monotonic()
    try:
        wanted = fingerprint(ROOT)
        if PYTHON.exists() and STAMP.exists() and STAMP.read_text() == wanted:
            return 0
        check_machine()
        STAMP.unlink(missing_ok=True)
        install()
        STAMP.write_text(wanted)
    except (SetupError, old_glibc.UnknownLayoutError) as error:
        problem = str(error)
    except OSError as error:
        problem = f"{error}: see to it that {ROOT} is complete and can be written, then run the same command again"
    except KeyboardInterrupt:
        problem = "broken off: run the same command again, it goes on from what is there"
    else:
        say(f"installed in {time.monotonic() - start:.0f} s")
        return 0
    print(f"install: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
