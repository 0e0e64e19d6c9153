"""docs/kubeflow-submit.md shows what is seen today, and each case."""

import re
import shlex

import pytest

from pipeline.cli.main import parser
from pipeline.kubeflow.submit.follow import MAX_FAILED_POLLS
from tests.pipeline.kubeflow.cases import CASES
from tests.pipeline.kubeflow.submit.page import BLOCK, PAGE, rewritten

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_transcripts_are_those_of_today() -> None:
    assert rewritten(TEXT) == TEXT, "write them anew: python -m tests.pipeline.kubeflow.submit.page"


def test_each_case_is_shown_once() -> None:
    shown = [match[1] for match in BLOCK.finditer(TEXT)]
    assert sorted(shown) == sorted(CASES)


@pytest.mark.parametrize("command", re.findall(r"^    shelfrank ((?:submit|schedule) .+)", TEXT, re.MULTILINE))
def test_each_command_on_the_page_parses(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", "http://localhost:8080")
    parser().parse_args(shlex.split(command))


def test_the_numbers_on_the_page_are_those_of_the_code() -> None:
    assert f"{MAX_FAILED_POLLS} times\nin a row" in TEXT
