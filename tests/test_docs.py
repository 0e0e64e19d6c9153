"""What the docs say to type, works: every command parses, every module and path is there, every dataset file reads the logs it describes.

The site itself builds strictly, and needs nothing from the internet.
"""

import csv
import importlib.util
import random
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from components.contract.dataset import Dataset
from components.contract.load import parse_dataset
from components.contract.sources import Impressions
from components.ingest.sources.files import layout
from components.validate import failed, validate
from pipeline.cli.main import parser
from tests.components.ingest.without_beam import NOW_US, job_of, run_steps

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "kubernetes/README.md")), *(ROOT / "docs").rglob("*.md")])
_SHELL = re.compile(r"^ *(?:\.venv/bin/)?(?P<command>(?:shelfrank [a-z]|python -m )[^#\n]*)", re.MULTILINE)
_PATH = re.compile(r"`((?:(?:components|trainer|pipeline|serving|benchmarks|scripts|tests)/[\w/-]+\.py|(?:examples|kubernetes)/[\w/.-]+))`")
_LOADED = re.compile(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(?:https?:)?//[^>]*>')


def commands(page: Path) -> list[str]:
    """What a page tells a reader to type; a line that begins so and goes on with a colon is what a command printed."""
    typed = [match["command"].split(" && ")[0].split(" | ")[0].strip() for match in _SHELL.finditer(page.read_text(encoding="utf-8"))]
    return [line for line in typed if not re.match(r"shelfrank \w+:", line)]


def dataset_files(page: Path) -> list[str]:
    """The whole dataset files of a page."""
    blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [block for block in blocks if isinstance(yaml.safe_load(block), dict) and {"name", "events"} <= yaml.safe_load(block).keys()]


def shows_lists_of_csv(dataset: Dataset) -> bool:
    """Whether `write_log` can write what a dataset file describes."""
    return isinstance(dataset.candidates, Impressions) and all(source.is_csv() for source in dataset.events)


TYPED = [(page.relative_to(ROOT), line) for page in PAGES for line in commands(page)]
FILES = [
    pytest.param(text, id=f"{page.name}, {yaml.safe_load(text)['name']}")
    for page in PAGES
    for text in dataset_files(page)
    if shows_lists_of_csv(parse_dataset(text))  # tests/components/ingest/formats/test_nested_docs.py reads the others
]


def test_the_pages_have_commands_and_dataset_files() -> None:
    assert len(TYPED) > 40
    assert len(FILES) > 1


@pytest.mark.parametrize(("page", "line"), [pytest.param(*typed, id=f"{typed[0].name}: {typed[1]}") for typed in TYPED])
def test_a_command_is_one_that_there_is(page: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", "http://localhost:8080")  # as the pages say to
    program, *arguments = shlex.split(line.split(">")[0])
    if program == "shelfrank":
        parser().parse_args(arguments)
    elif arguments[1] != "pytest":
        assert importlib.util.find_spec(arguments[1]), page
    else:
        named = [argument for argument in arguments if argument.startswith("tests/")]
        assert all((ROOT / path).exists() for path in named)


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])
def test_a_path_is_one_that_there_is(page: Path) -> None:
    named = _PATH.findall(page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    """A broken link, a missing anchor or a page that the navigation lacks is an error."""
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 30
    assert [loaded for page in pages for loaded in _LOADED.findall(page.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("text", FILES)
def test_a_dataset_file_reads_the_log_that_it_describes(text: str, tmp_path: Path) -> None:
    dataset = parse_dataset(text)
    requests, labels = write_log(dataset, tmp_path)
    found = validate(dataset, str(tmp_path), now_us=NOW_US)
    assert not failed(found), found
    _, counts = run_steps(job_of(text, tmp_path, tmp_path / "out"), layout(dataset, str(tmp_path)).blocks)
    assert counts.numbers["requests formed"] == requests
    assert labels
    assert not [name for name in counts.numbers if name.startswith("rejected")]


def write_log(dataset: Dataset, folder: Path) -> tuple[int, int]:
    """CSV files with the columns that a dataset file names, each where it is shown; returns how many requests and labelled actions."""
    assert isinstance(dataset.candidates, Impressions)
    draw, shown_action = random.Random(5), dataset.candidates.action
    features = {feature.key for feature in dataset.input_features("events") if not feature.key.startswith("time.")}
    rows: dict[str, list[dict[str, str]]] = {source.path: [] for source in dataset.events}
    moment, labels = datetime(2026, 3, 1, 10, tzinfo=UTC), 0
    items = [f"mug-{number}" for number in range(30)]

    def log(action: str, when: datetime, **values: str) -> None:
        for source in dataset.events:
            if source.action not in (None, action):
                continue
            known = {"time": when.replace(tzinfo=None).isoformat(), "action": action} | values
            row = {column: known.get(role, "") for role, column in source.columns.named().items()}
            if action == shown_action:
                row |= {column: draw.choice(["phone", "desktop"]) for column in features}
            rows[source.path].append(row)

    for request in range(120):
        moment += timedelta(minutes=draw.randrange(30, 240))
        user = f"u{draw.randrange(20)}"
        listed = draw.sample(items, 4)
        for position, item in enumerate(listed):
            log(shown_action, moment, user=user, item=item, request=f"r{request}", position=str(position))
        for action in dataset.label_gains:
            if draw.random() < 0.6:
                labels += 1
                log(action, moment + timedelta(minutes=5), user=user, item=draw.choice(listed), request=f"r{request}")
    for path, written in rows.items():
        _write(folder / path.replace("*", "part-0"), written)
    if dataset.items is not None:
        columns = [feature.key for feature in dataset.input_features("items")]
        catalogue = [{dataset.items.id: item, **dict.fromkeys(columns, f"{number}.5")} for number, item in enumerate(items)]
        _write(folder / dataset.items.path, catalogue)
    return 120, labels


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, names, restval="")
        out.writeheader()
        out.writerows(rows)
