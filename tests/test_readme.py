"""The README is short, and it and CONTRIBUTING say what is there: commands, links, paths."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from pipeline.cli.main import parser

ROOT = Path(__file__).resolve().parents[1]
README, CONTRIBUTING = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md"))


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= 900


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_every_link_leads_somewhere(text: str) -> None:
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert [path for path in linked if not (ROOT / path).exists()] == []


def test_the_pictures_are_small() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert len(pictures) == 3
    assert [path for path in pictures if (ROOT / path).stat().st_size >= 200_000] == []


def test_every_shelfrank_command_parses() -> None:
    commands = re.findall(r"^\s*(?:\.venv/bin/)?shelfrank ([^#\n|]+)", README, re.MULTILINE)
    assert len(commands) > 8
    for command in commands:
        parser().parse_args(shlex.split(command))


def test_every_benchmark_named_is_there() -> None:
    named = set(re.findall(r"python -m (benchmarks\.[\w.]+)", README))
    assert named
    assert [name for name in named if importlib.util.find_spec(name) is None] == []


@pytest.mark.parametrize("target", re.findall(r"(?:^\s+|`)make (\w[\w-]*)", README + CONTRIBUTING, re.MULTILINE))
def test_every_make_target_is_there(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_folder_map_is_short_and_has_every_folder() -> None:
    (tree,) = re.findall(r"```text\n(.*?)```", CONTRIBUTING, re.DOTALL)
    assert len(tree.splitlines()) <= 25
    named = set(re.findall(r"([\w-]+)/", tree))
    packages = {path.parent for part in ("components", "trainer", "pipeline", "serving") for path in (ROOT / part).rglob("__init__.py")}
    shallow = {path.name for path in packages if len(path.relative_to(ROOT).parts) <= 2}
    assert shallow - named == set()


def test_every_file_to_open_is_there() -> None:
    """A name without a folder stands beside the file before it."""
    (table,) = re.findall(r"## To change\n(.*?)\n## ", CONTRIBUTING, re.DOTALL)
    named = 0
    for row in re.findall(r"^\| [^|]+ \| (.*) \|$", table, re.MULTILINE):
        folder = ROOT
        for name in re.findall(r"`([\w./-]+)`", row):
            path = ROOT / name if "/" in name or name == "mkdocs.yml" else folder / name
            assert path.exists(), name
            folder, named = path.parent, named + 1
    assert named > 20


def test_nothing_is_left_to_fill_in() -> None:
    assert re.findall(r"@[A-Z_]+@", README) == []
