"""Products as vectors: what is alike is near, what is missing is nothing, and it is the same everywhere."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.contract.errors import InputError
from components.contract.load import parse_dataset
from serving.neighbours import content
from serving.neighbours.content import Columns, content_space, content_vectors

ROOT = Path(__file__).resolve().parents[3]
TEXT = """
name: shop
events: {path: e.csv, columns: {time: t, user: u, item: i, action: a, request: r}}
items: {path: i.csv, id: id}
actions: {impression: {}, click: {label: 1}}
candidates: {from: impressions}
features:
  - {name: item, kind: id, side: item}
  - {name: category, kind: category, side: item}
  - {name: title, kind: text, side: item}
  - {name: tags, kind: multi, side: item}
  - {name: price, kind: number, side: item, log: true}
  - {name: look, kind: vector, side: item, size: 2}
"""
DATASET = parse_dataset(TEXT)
SHOP: Columns = {
    "category": ["mugs", "mugs", "lamps", "lamps", ""],
    "title": ["Blue mug", "blue MUG", "red lamp", "the red lamp", ""],
    "tags": ["new|sale", "sale|new", "old", "", ""],
    "price": [5.0, 5.0, 80.0, 80.0, float("nan")],
    "look": np.array([[1, 0], [1, 0], [0, 1], [0, 1], [np.nan, np.nan]], np.float32),
}


def only(feature: str, values: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Cosines between products of which one feature is known."""
    lines = [line for line in TEXT.splitlines() if not line.startswith("  - {name") or f"name: {feature}," in line]
    dataset = parse_dataset("\n".join(lines))
    vectors = content_vectors(content_space(dataset, {feature: values}), {feature: values})
    return np.asarray(vectors @ vectors.T)


def test_vectors_have_unit_length_and_one_of_which_nothing_is_known_has_none() -> None:
    found = content_vectors(content_space(DATASET, SHOP), SHOP)
    assert found.shape == (5, 128 + 2 + 2)
    assert found.dtype == np.float32
    assert np.linalg.norm(found, axis=1).tolist() == pytest.approx([1, 1, 1, 1, 0])


def test_the_same_content_is_the_same_vector_and_like_content_is_near() -> None:
    found = content_vectors(content_space(DATASET, SHOP), SHOP)
    assert np.allclose(found[0], found[1], atol=1e-6)
    assert found[2] @ found[3] > 0.7
    assert abs(found[0] @ found[2]) < 0.35


def test_a_new_product_is_where_it_would_be_in_the_catalogue() -> None:
    space = content_space(DATASET, SHOP)
    new = {name: values[2:3] for name, values in SHOP.items()}
    assert np.array_equal(content_vectors(space, new)[0], content_vectors(space, SHOP)[2])


def test_rare_words_weigh_more_than_common_ones() -> None:
    """Twenty titles begin with "the"; which two share, "the" or a rare word, makes the difference."""
    titles = [f"the w{n}" for n in range(20)] + ["the amber", "dark amber", "the dark"]
    found = only("title", titles)
    assert found[-3, -2] > found[-3, 0] + 0.2  # amber against the


def test_words_of_unrelated_titles_are_at_about_a_right_angle() -> None:
    found = only("title", [f"a{n} b{n} c{n}" for n in range(300)])
    off = found[~np.eye(len(found), dtype=bool)]
    assert abs(float(off.mean())) < 0.01
    assert float(off.std()) == pytest.approx(128**-0.5, rel=0.1)


def test_the_same_value_of_two_features_is_not_the_same() -> None:
    space = content_space(DATASET, SHOP)
    nothing: dict[str, Any] = {"category": ["", "red"], "title": ["red", ""], "tags": ["", ""], "price": [None, None]}
    found = content_vectors(space, nothing | {"look": np.zeros((2, 2))})
    assert abs(found[0] @ found[1]) < 0.4


def test_several_values_do_not_go_by_their_order() -> None:
    found = only("tags", ["a|b", "b|a", "a|b|a", "a", "c"])
    assert found[0, 1:3].tolist() == pytest.approx([1, 1])
    assert found[0, 3] == pytest.approx(0.5**0.5, abs=0.15)


def test_near_prices_are_near_and_the_farthest_are_opposites() -> None:
    """Of the logarithms; z is cut at 1.5 standard deviations, and cos 3 is -0.99."""
    found = only("price", [np.expm1(x) for x in (1.0, 1.1, 2.0, 9.0, -1.0)] + [float("inf"), None])
    assert found[0, 1] > 0.99
    assert found[0, 1] > found[0, 2] > found[0, 3]
    wide = only("price", [0.0] * 50 + [10.0] * 50 + [1e12, -1e12])
    assert wide[-1, -2] == pytest.approx(np.cos(3), abs=1e-5)
    assert found[-2:].tolist() == [[0] * 7, [0] * 7]


def test_a_price_that_all_have_says_nothing_but_breaks_nothing() -> None:
    assert only("price", [5.0, 5.0]).tolist() == [pytest.approx([1, 1])] * 2


def test_long_catalogues_are_made_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    space = content_space(DATASET, SHOP)
    whole = content_vectors(space, SHOP)
    monkeypatch.setattr(content, "CHUNK", 2)
    assert np.array_equal(content_vectors(space, SHOP), whole)


def test_another_process_makes_the_same_bits() -> None:
    """Python's own hash of a text differs from process to process."""
    code = (
        "import hashlib; from tests.serving.neighbours.test_content import *;"
        "print(hashlib.sha256(content_vectors(content_space(DATASET, SHOP), SHOP).tobytes()).hexdigest())"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}, cwd=ROOT, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1


def test_a_feature_that_is_not_given_is_named() -> None:
    with pytest.raises(InputError, match="expected the catalogue's values of the feature 'tags', got category, title"):
        content_space(DATASET, {"category": [], "title": []})


def test_without_a_catalogue_there_is_no_content() -> None:
    bare = "\n".join(line for line in TEXT.splitlines() if not line.startswith("  - {name") or "name: item," in line)
    with pytest.raises(InputError, match="takes no feature of the items from the catalogue"):
        content_space(parse_dataset(bare), {})
