"""Resolve an engine's jars from Maven packages; tests that need them are skipped where that isn't possible."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from components.contract.storage.file_lock import locked

BUILD = Path(__file__).resolve().parents[2] / "build" / "engines"
_MAVEN_S = 900


def class_path(pom: Path) -> list[Path]:
    """Return the jars that a pom needs at run time, in Maven's order.

    Resolved once: `build/engines` keeps the list by the pom's content, Maven's local repository the jars. Without
    `java`, `mvn` or the packages the test that asks is skipped, with the reason.
    """
    return _made_once(pom, "dependency:build-classpath", "-DincludeScope=runtime", suffix="classpath")


def shaded_jar(pom: Path) -> Path:
    """Return the one jar of all that a pom's shade plugin makes; kept, and skipped where there is none, likewise."""
    (jar,) = _made_once(pom, "package", suffix="shaded")
    return jar


def _made_once(pom: Path, *goals: str, suffix: str) -> list[Path]:
    result = _jars(pom.resolve(), goals, suffix)
    if isinstance(result, str):
        pytest.skip(result)
    return list(result)


@cache
def _jars(pom: Path, goals: tuple[str, ...], suffix: str) -> tuple[Path, ...] | str:
    """Return the jars, or why there are none: a process asks Maven once."""
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    if missing:
        return f"no {' and no '.join(missing)} here (Debian: openjdk-17-jre-headless, maven): {pom.parent.name} can't be started"
    BUILD.mkdir(parents=True, exist_ok=True)
    kept = BUILD / f"{pom.parent.name}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:16]}.{suffix}"
    with locked(BUILD / "lock"):  # two processes of tests would write one local repository
        if not (jars := _kept(kept)):
            fault = _maven(pom, goals, kept)
            jars = _kept(kept)
            if fault or not jars:
                return f"Maven doesn't resolve {pom.parent.name}'s packages: {fault or 'it wrote no jar'}"
    return jars


def _kept(file: Path) -> tuple[Path, ...]:
    """Return the jars of an earlier time, unless one of them is gone."""
    if not file.exists():
        return ()
    jars = tuple(map(Path, file.read_text().split(os.pathsep)))
    return jars if all(jar.is_file() for jar in jars) else ()


def _maven(pom: Path, goals: tuple[str, ...], kept: Path) -> str:
    """Have Maven make the jars, and write their paths to `kept`; return its first error, or ""."""
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        listed = Path(folder) / "classpath"
        command = ["mvn", "--batch-mode", "--quiet", f"--file={pom}", *goals, f"-Dmdep.outputFile={listed}", f"-Dout={folder}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_MAVEN_S)
        except subprocess.TimeoutExpired:
            return f"not done after {_MAVEN_S} s"
        if done.returncode:
            return next((line for line in done.stdout.splitlines() if line.startswith("[ERROR]")), f"exit code {done.returncode}")
        made = [jar for jar in Path(folder).glob("*.jar") if not jar.name.startswith("original-")]
        if made:
            jar = made[0].replace(kept.with_suffix(".jar"))
            listed.write_text(str(jar))
        if listed.exists():
            listed.replace(kept)
    return ""
