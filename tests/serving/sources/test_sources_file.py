"""What a sources file can say wrong, and the sentence it gets."""

from pathlib import Path

import pytest

from components.contract.errors import ServiceFileError
from components.contract.load import load_dataset
from serving.sources.file import load_sources, parse_sources
from tests.serving.service.little_shop import dataset

ROOT = Path(__file__).resolve().parents[3]


def test_the_example_is_read() -> None:
    found = load_sources(ROOT / "examples/serving/sources.yaml", load_dataset(ROOT / "examples/simulated_shop.yaml"))
    assert [source.kind for source in found.sources.values()] == ["popular", "new", "category", "similar", "list"]


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("{kind: populer}", "popular"),
        ("{kind: popular, moost: 3}", "did you mean 'most'"),
        ("{kind: popular, most: 0}", "at least 1"),
        ("{kind: category, feature: brnd}", "did you mean 'brand'"),
        ("{kind: category, feature: price}", "'price' is no id, category or multi of the catalogue"),
        ("{kind: category, feature: brand, from: devic}", "did you mean 'device'"),
        ("{kind: category, feature: brand, from: hour}", "'hour' is no id or category that a request tells"),
        ("{kind: list, items: []}", "1 entry or more"),
        ("{kind: list, items: [p1, p1]}", "'p1' stands twice"),
    ],
)
def test_a_wrong_source_is_told(source: str, fault: str) -> None:
    with pytest.raises(ServiceFileError, match=fault):
        parse_sources(f"sources: {{mine: {source}}}", dataset())
