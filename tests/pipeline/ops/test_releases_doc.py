"""docs/reference/releases.md says what is so."""

from pathlib import Path

from components.rehearsal import batching_file, warmup
from components.rehearsal.component import REQUESTS
from components.rehearsal.report import Rehearsal

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "releases.md").read_text(encoding="utf-8")
WORDS = " ".join(PAGE.split())


def test_the_sentences_on_the_page_are_those_of_a_rehearsal() -> None:
    example = "in request 'a' candidate 1 has scores 0.25 offline and 0.5 served"
    steps = [
        Rehearsal(200, (10, 20), 500.0, "", 0, 1.5e-7, "", 3.8, 9.3),
        Rehearsal(3, (10, 20), 50.0, "", 2, 0.3, example, 61.3, 80.9),
    ]
    sentences = [finding.sentence for each in steps for finding in each.findings]
    fault = Rehearsal(3, (10,), 50.0, fault="INVALID_ARGUMENT: input size does not match signature: 9!=11 ..").findings[0].sentence
    assert [sentence for sentence in (*sentences, fault) if sentence not in WORDS] == []


def test_the_numbers_on_the_page_are_those_of_the_code() -> None:
    assert f"{REQUESTS} requests of the test window" in WORDS
    assert f"as {batching_file.MAX_CANDIDATES:,} candidates leave room for" in WORDS
    assert f"{batching_file.MAX_REQUESTS} at most" in WORDS
    for file in (batching_file.FILE, warmup.FILE):
        assert f"`{file.removeprefix('assets.extra/')}`" in PAGE
