"""Captions of metrics and slices for sentences, tables and plots."""

import re

Slice = tuple[tuple[str, str], ...]
"""Features and their values, by name; () is all requests."""

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

_MEANINGS = {
    "auc": "how often a product that was taken scores above one that was not, over all lists; chance: 0.5",
    "coverage": "share of the products that were shown anywhere which reach the first {places} of some list",
    "ece": "how far scores are from the share that was taken; best: 0",
    "gauc": "AUC within each list: only the order in it counts; chance: 0.5",
    "gauc_by_user": "AUC within all that one shopper was shown; chance: 0.5",
    "hit_rate": "share of the lists with something that was taken among the first {places}",
    "map": "share of taken products down to each one that was taken, averaged; best: 1",
    "margin": "share of the margin that stood among the first {places}",
    "mrr": "1 / place of the first product that was taken, averaged: 0.5 is the second place",
    "ndcg": "how near the first {places} come to the best order, weighted by gain and place; best: 1",
    "personalisation": "how much of the first {places} is not the same in two lists",
    "pr_auc": "share of taken products among the highest scores, averaged over all cuts; chance: the share that was taken",
    "precision": "share of the first {places} that was taken",
    "quantity": "share of the pieces that stood among the first {places}",
    "recall": "share of what was taken that stands among the first {places}",
    "revenue": "share of the revenue that stood among the first {places}",
    "calibration": "what the scores promise over what was taken: 1 is right, 2 promises twice as many",
    "log_loss": "how far scores are from what happened, surprises counting most; lower is better",
}


def metric_meaning(metric: str) -> str:
    """Explain a metric in a line."""
    name, _, k = metric.partition("_at_")
    return _MEANINGS[name].format(places="place" if k == "1" else f"{k} places")


def metric_caption(metric: str) -> str:
    """Return a metric's caption: NDCG@10 for `ndcg_at_10`, Log loss for `log_loss`."""
    if at := re.fullmatch(r"(\w+)_at_(\d+)", metric):
        return f"{_WORDS[at[1]]}@{at[2]}"
    return _WORDS.get(metric, metric.replace("_", " ").capitalize())


def slice_caption(where: Slice) -> str:
    """Return a slice's caption: `device=ios, country=DE`, or `all`."""
    return ", ".join(f"{name}={value or '(none)'}" for name, value in where) or "all"
