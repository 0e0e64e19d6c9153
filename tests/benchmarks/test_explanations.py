"""Masking features one by one, for Shapley values, on a model whose effects are known."""

from typing import Any

import numpy as np
import pytest

from benchmarks.explanations.players import Player, logit_of, masked, players
from components.contract.load import parse_dataset

DATASET = parse_dataset("""\
name: shop
events: {path: e.csv, columns: {time: at, user: user, item: item, action: action, request: request}}
items: {path: i.csv, id: id}
actions: {impression: {}, click: {label: 1}}
candidates: {from: impressions}
features:
  - {name: device, kind: category, side: context}
  - {name: history, kind: history, side: user, length: 4, actions: [click], fields: [brand]}
  - {name: brand, kind: category, side: item}
  - {name: price, kind: number, side: item}
  - {name: price_in_list, kind: list, side: item, of: price}
""")
TENSORS: dict[str, Any] = {
    "device": np.array([b"mobile"], object),
    "history_brand": np.array([[b"Kelso", b"Alder"]], object),
    "history_action": np.array([[b"click", b"click"]], object),
    "history_age_s": np.array([[2.0, 1.0]], np.float32),
    "n_history": np.array([2], np.int64),
    "brand": np.array([[b"Alder", b"Kelso"]], object),
    "price": np.array([[10.0, 20.0]], np.float32),
    "n_candidates": np.array([2], np.int64),
}


def test_a_list_relative_feature_is_masked_with_its_number_and_the_history_with_its_matches() -> None:
    assert players(DATASET) == [
        Player("device", ("device",), ("device",)),
        Player("history", ("history_brand", "history_action", "history_age_s"), ("history", "history.same_brand")),
        Player("brand", ("brand",), ("brand",)),
        Player("price", ("price",), ("price", "price_in_list")),
    ]


def test_a_masked_feature_is_missing_for_the_candidate_and_nobody_else() -> None:
    copies = masked(TENSORS, 1, np.array([[True] * 4, [False] * 4]), players(DATASET), DATASET)
    assert copies["device"].tolist() == [b"mobile", b""]
    assert copies["n_history"].tolist() == [2, 0]
    assert copies["brand"].tolist() == [[b"Alder", b"Kelso"], [b"Alder", b""]]
    np.testing.assert_array_equal(copies["price"], np.array([[10, 20], [10, np.nan]], np.float32))
    assert TENSORS["brand"].tolist() == [[b"Alder", b"Kelso"]]


@pytest.mark.filterwarnings("ignore:The set_.* function will be deprecated:PendingDeprecationWarning")  # what shap calls of matplotlib
def test_shapley_values_of_an_additive_model_are_its_terms() -> None:
    import shap

    def run(tensors: Any) -> dict[str, Any]:
        logits = 0.5 * (tensors["brand"] == b"Kelso") + np.where(np.isnan(tensors["price"]), 0, tensors["price"] / 10)
        logits = logits - 0.25 * tensors["n_history"][:, None]
        return {"scores": 1 / (1 + np.exp(-logits))}

    logits = logit_of(run, TENSORS, 1, players(DATASET), DATASET)
    explained = shap.PermutationExplainer(logits, np.zeros((1, 4)), seed=0)(np.ones((1, 4)), max_evals=18, silent=True)
    assert explained.values[0].tolist() == pytest.approx([0.0, -0.5, 0.5, 2.0], abs=1e-6)
