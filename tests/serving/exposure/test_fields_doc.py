"""docs/reference/exposure-log.md names every field of the log's lines."""

import dataclasses
import re
from pathlib import Path

from components.contract.sources import AMOUNTS
from serving.exposure.event_types import Exposure, Interleaved, ShadowScores
from serving.exposure.serialization import ROLES, RULED, decision_row, shadow_row

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "exposure-log.md").read_text(encoding="utf-8")


def fields(file: str) -> set[str]:
    """The fields that the table of the page names for a file; a row without a file goes on with the one above."""
    found, current = set(), ""
    for line in PAGE.split("## Fields\n")[1].strip().split("\n\n")[0].splitlines()[2:]:
        files, named = line.split("|")[1:3]
        current = files.strip() or current
        found |= set(re.findall(r"`(\w+)`", named)) if file in current else set()
    return found


def test_the_page_names_the_fields_of_each_file() -> None:
    interleaved = Interleaved(experiment="e", teams=("a", "b"), versions=("1", "2"), placed=[0], scores=([1.0], [2.0]))
    decision = Exposure(request="r", time_us=1, shopper="s", items=["i"], order=[0], shown=1, first_position=3, interleaved=interleaved)
    assert fields("decisions") == set(decision_row(decision))
    assert all(f"`{field.name}`" in PAGE for field in dataclasses.fields(Interleaved))
    assert fields("shadows") == set(shadow_row(ShadowScores(request="r", time_us=1, label="l", version="1", scores=[0.5])))
    assert fields("impressions") == {*ROLES, RULED}
    assert fields("interactions") == {*ROLES, RULED, *AMOUNTS}
