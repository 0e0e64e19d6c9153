"""Resolve the class path of an engine from Maven packages; tests that need it are skipped where that isn't possible."""

import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from components.contract.storage.file_lock import locked

BUILD = Path(__file__).resolve().parents[2] / "build" / "engines"
_RESOLVE_S = 900


def class_path(pom: Path) -> list[Path]:
    """Return the jars that a pom needs at run time, in Maven's order.

    Resolved once: `build/engines` keeps the list by the pom's content, Maven's local repository the jars. Without
    `java`, `mvn` or the packages the test that asks is skipped, with the reason.
    """
    resolved = _resolved(pom.resolve())
    if isinstance(resolved, str):
        pytest.skip(resolved)
    return list(resolved)


@cache
def _resolved(pom: Path) -> tuple[Path, ...] | str:
    """Return the jars, or why there are none: a process asks Maven once."""
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    if missing:
        return f"no {' and no '.join(missing)} here (Debian: openjdk-17-jre-headless, maven): {pom.parent.name} can't be started"
    BUILD.mkdir(parents=True, exist_ok=True)
    kept = BUILD / f"{pom.parent.name}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:16]}.classpath"
    with locked(BUILD / "lock"):  # two processes of tests would write one local repository
        if not (jars := _kept(kept)):
            fault = _maven(pom, kept)
            jars = _kept(kept)
            if fault or not jars:
                return f"Maven doesn't resolve {pom.parent.name}'s packages: {fault or 'no class path'}"
    return jars


def _kept(file: Path) -> tuple[Path, ...]:
    """Return the jars of an earlier time, unless one of them is gone."""
    if not file.exists():
        return ()
    jars = tuple(map(Path, file.read_text().split(os.pathsep)))
    return jars if all(jar.is_file() for jar in jars) else ()


def _maven(pom: Path, out: Path) -> str:
    """Have Maven write the class path to `out`; return its first error, or ""."""
    command = ["mvn", "--batch-mode", "--quiet", f"--file={pom}", "dependency:build-classpath", "-DincludeScope=runtime"]
    partial = out.with_suffix(".partial")
    try:
        done = subprocess.run([*command, f"-Dmdep.outputFile={partial}"], capture_output=True, text=True, check=False, timeout=_RESOLVE_S)
    except subprocess.TimeoutExpired:
        return f"not done after {_RESOLVE_S} s"
    if done.returncode:
        return next((line for line in done.stdout.splitlines() if line.startswith("[ERROR]")), f"exit code {done.returncode}")
    partial.replace(out)
    return ""
