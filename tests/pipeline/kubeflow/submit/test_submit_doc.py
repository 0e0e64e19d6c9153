"""docs/how-to/kubeflow-submit.md and kubeflow-messages.md show what is seen today, and each case."""

import re
import shlex
from pathlib import Path

import pytest

from pipeline.cli.main import parser
from pipeline.kubeflow.submit.follow import MAX_FAILED_POLLS
from tests.pipeline.kubeflow.cases import CASES
from tests.pipeline.kubeflow.submit.page import BLOCK, PAGES, rewritten

TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
GUIDE = TEXTS[PAGES[0]]


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_the_transcripts_are_those_of_today(page: Path) -> None:
    assert rewritten(TEXTS[page]) == TEXTS[page], "write them anew: python -m tests.pipeline.kubeflow.submit.page"


def test_each_case_is_shown_once() -> None:
    shown = [found[1] for text in TEXTS.values() for found in BLOCK.finditer(text)]
    assert sorted(shown) == sorted(CASES)


@pytest.mark.parametrize("command", re.findall(r"^    shelfrank ((?:submit|schedule) .+)", GUIDE, re.MULTILINE))
def test_each_command_on_the_page_parses(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", "http://localhost:8080")
    parser().parse_args(shlex.split(command))


def test_the_numbers_on_the_page_are_those_of_the_code() -> None:
    assert f"{MAX_FAILED_POLLS} times in a row" in " ".join(GUIDE.split())
