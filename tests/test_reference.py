"""The generated parts of docs/reference/ are what the code says today."""

from pathlib import Path

import pytest
from reference import KINDS, PAGES, written

GENERATED = [page for page in sorted(PAGES.glob("*.md")) if "<!-- generated: " in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in GENERATED])
def test_the_generated_parts_are_what_the_code_says(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert written(text) == text, "run `python scripts/reference.py`"


def test_every_kind_of_part_is_used_and_a_stale_one_is_found() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in GENERATED)
    assert [kind for kind in KINDS if f"<!-- generated: {kind}" not in pages] == []
    stale = "<!-- generated: statuses -->\nold\n<!-- end -->\n"
    assert written(stale) != stale
    assert "| 429 |" in written(stale)
