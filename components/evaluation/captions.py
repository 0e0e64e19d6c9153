"""How metrics and slices are called in sentences, tables and plots."""

import re

Slice = tuple[tuple[str, str], ...]
"""Features and their values, by name; () is everything."""

_WORDS = {"precision": "P", "ndcg": "NDCG", "auc": "AUC", "gauc": "GAUC", "mrr": "MRR", "log_loss": "Log loss"}


def metric_caption(metric: str) -> str:
    """`ndcg_at_10` as NDCG@10, `requests_without_positive` as Requests without positive."""
    if at := re.fullmatch(r"(\w+)_at_(\d+)", metric):
        return f"{_WORDS[at[1]]}@{at[2]}"
    return _WORDS.get(metric, metric.replace("_", " ").capitalize())


def slice_caption(where: Slice) -> str:
    """`device=ios, country=DE`, or `all`."""
    return ", ".join(f"{name}={value or '(none)'}" for name, value in where) or "all"
