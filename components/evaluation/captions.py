"""How metrics and slices are called in sentences, tables and plots."""

import re

Slice = tuple[tuple[str, str], ...]
"""Features and their values, by name; () is everything."""

_WORDS = {
    "auc": "AUC",
    "coverage": "Coverage",
    "ece": "ECE",
    "gauc": "GAUC",
    "gauc_by_user": "GAUC by shopper",
    "hit_rate": "Hit rate",
    "map": "MAP",
    "margin": "Margin",
    "mrr": "MRR",
    "ndcg": "NDCG",
    "personalisation": "Personalisation",
    "pr_auc": "PR-AUC",
    "precision": "P",
    "quantity": "Quantity",
    "recall": "Recall",
    "revenue": "Revenue",
}


def metric_caption(metric: str) -> str:
    """`ndcg_at_10` as NDCG@10, `requests_without_positive` as Requests without positive."""
    if at := re.fullmatch(r"(\w+)_at_(\d+)", metric):
        return f"{_WORDS[at[1]]}@{at[2]}"
    return _WORDS.get(metric, metric.replace("_", " ").capitalize())


def slice_caption(where: Slice) -> str:
    """`device=ios, country=DE`, or `all`."""
    return ", ".join(f"{name}={value or '(none)'}" for name, value in where) or "all"
