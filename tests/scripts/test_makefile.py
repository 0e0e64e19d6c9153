"""`make` explains itself, and says what to do without Python 3.11."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # The flags of a make that started the tests aren't for this one.
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_make_alone_lists_every_target() -> None:
    (targets,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    listed = [line.split()[1] for line in make().stdout.splitlines()]
    assert listed == targets.split()


def test_without_python_it_says_what_to_do() -> None:
    result = make("test", "PYTHON=no-such-python")
    assert result.returncode == 2
    sentence = result.stderr.splitlines()[0]
    assert sentence.startswith("make: 'no-such-python' doesn't run here: install Python 3.11")
    assert sentence.endswith("make test PYTHON=/path/to/python3.11")


def test_ci_and_pre_commit_run_the_same_targets() -> None:
    in_ci = re.findall(r"make (?:test|lint)\b", (ROOT / ".ci/run").read_text())
    in_hooks = re.findall(r"entry: (make \S+)", (ROOT / ".pre-commit-config.yaml").read_text())
    assert sorted(in_ci) == sorted(in_hooks) == ["make lint", "make test"]
