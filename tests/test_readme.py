"""The README says what is there: its commands, the files it points to."""

import re
import shlex
from pathlib import Path

import pytest

from pipeline.cli.main import parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_link_and_path_in_a_table_exists() -> None:
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    (to_open,) = re.findall(r"## To change X, open Y\n(.*?)\n\n[A-Z]", README, re.DOTALL)
    named = re.findall(r"`([\w./]+/[\w./]*)`", to_open)
    assert linked
    assert named
    assert [path for path in linked + named if not (ROOT / path).exists()] == []


def test_every_shelfrank_command_parses() -> None:
    commands = re.findall(r"^\s*(?:\.venv/bin/)?shelfrank ([^#\n|]+)", README, re.MULTILINE)
    assert commands
    for command in commands:
        parser().parse_args(shlex.split(command))


def test_every_benchmark_named_is_there() -> None:
    named = set(re.findall(r"python -m benchmarks\.(\w+)", README))
    assert named
    assert [name for name in named if not (ROOT / "benchmarks" / f"{name}.py").exists()] == []


@pytest.mark.parametrize("target", re.findall(r"^\s+make (\w[\w-]*)", README, re.MULTILINE))
def test_every_make_target_is_there(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_nothing_is_left_to_fill_in() -> None:
    assert re.findall(r"@[A-Z_]+@", README) == []
