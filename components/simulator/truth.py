"""Write the truth beside the logs: outcome probabilities and the simulation's parameters. Training never reads it."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.simulator import behaviour, vocabulary
from components.simulator.behaviour import Outcomes
from components.simulator.log import PartFiles, numbered
from components.simulator.slates import Slates
from components.simulator.world import TREATMENT_SALT, Floats, World

RELEVANCE: Final = pa.schema(
    {
        "request_id": pa.string(),
        "item_id": pa.string(),
        "position": pa.int16(),
        "examination": pa.float32(),
        "relevance": pa.float32(),
        "click_probability": pa.float32(),
    }
)
LATE_SHARE: Final = 0.15

_BINS = 20_000


class RelevanceTally:
    """Histogram of clicked and other impressions by period and relevance, for the AUC of the truth in constant memory.

    Relevance is binned into 20,000 equal bins; impressions in one bin count as ties (one half), an error far below
    1e-4.
    """

    def __init__(self, days: int) -> None:
        self._late_start = days - max(1, round(LATE_SHARE * days))
        self._counts = np.zeros((2, 2, _BINS), dtype=np.int64)  # (early or late, not clicked or clicked, bins)
        self._expected_untreated = self._expected_treated = 0.0

    def add(self, day: int, outcomes: Outcomes, treatment_effect: float) -> None:
        """Add the impressions of a block of one day of the log."""
        bins = np.minimum((outcomes.relevance * _BINS).astype(np.int64), _BINS - 1)
        late = self._counts[int(day >= self._late_start)]
        for clicked in (0, 1):
            late[clicked] += np.bincount(bins[outcomes.clicked == bool(clicked)], minlength=_BINS)
        odds = outcomes.untreated / (1 - outcomes.untreated) * np.exp(treatment_effect)
        self._expected_untreated += float(np.sum(outcomes.examination * outcomes.untreated))
        self._expected_treated += float(np.sum(outcomes.examination * odds / (1 + odds)))

    def auc(self) -> float:
        """Compute the AUC of the true relevance against clicks, over all impressions."""
        return _auc(self._counts.sum(axis=0))

    def late_auc(self) -> float:
        """Compute the same over the last 15 % of the days."""
        return _auc(self._counts[1])

    def relative_uplift(self) -> float:
        """Compute the relative change of the expected click rate if everybody were treated, against nobody."""
        return self._expected_treated / self._expected_untreated - 1 if self._expected_untreated else 0.0


def _auc(counts: np.ndarray[Any, np.dtype[np.int64]]) -> float:
    """Compute the probability that a clicked impression is in a higher bin than another, ties one half; NaN if none."""
    others, clicks = counts.astype(np.float64)
    pairs = others.sum() * clicks.sum()
    return float(np.sum(clicks * (np.cumsum(others) - others / 2)) / pairs) if pairs else float("nan")


class RelevanceTables:
    """Writer of the outcomes of blocks as tables of the `RELEVANCE` schema."""

    def __init__(self, world: World, files: PartFiles) -> None:
        self._item_id, self._files = world.products.item_id, files

    def write(self, slates: Slates, outcomes: Outcomes, first_request: int) -> None:
        """Append a block whose requests are numbered from `first_request` on."""
        columns = {
            "request_id": numbered("r", slates.request + first_request),
            "item_id": self._item_id.take(pa.array(slates.item)),
            "position": slates.position.astype(np.int16),
            "examination": outcomes.examination.astype(np.float32),
            "relevance": outcomes.relevance.astype(np.float32),
            "click_probability": (outcomes.examination * outcomes.relevance).astype(np.float32),
        }
        self._files.write(pa.table(columns, schema=RELEVANCE))


def write_people(world: World, folder: Path) -> None:
    """Write `users.parquet` and `items.parquet`: latent vectors, type, treated or not, quality."""
    shoppers, products = world.shoppers, world.products
    users = {
        "user_id": shoppers.user_id,
        "type": pa.array(vocabulary.TYPES).take(pa.array(shoppers.kind)),
        "treated": shoppers.treated,
        "price_sensitivity": shoppers.price_sensitivity,
        "taste": _vectors(shoppers.taste),
        "taste_after_drift": _vectors(shoppers.taste_after_drift),
    }
    items = {"item_id": products.item_id, "quality": products.quality, "popularity": products.popularity, "kind": _vectors(products.kind)}
    pq.write_table(pa.table(users), folder / "users.parquet", compression="zstd")
    pq.write_table(pa.table(items), folder / "items.parquet", compression="zstd")


def write_parameters(world: World, tally: RelevanceTally, *, intercept: float, folder: Path) -> None:
    """Write `truth.json`: the config, the parameters of the formulas, the planted effects, and the AUC of the truth."""
    config = world.config
    truth = {
        "config": asdict(config) | {"shoppers": config.n_shoppers, "products": config.n_products},
        "examination": behaviour.examination(np.arange(config.candidates[1]), config.examination_decay).tolist(),
        "click": {
            "intercept": intercept,
            "quality": 1.0,
            "taste": behaviour.TASTE * np.sqrt(world.products.kind.shape[1]),
            "intent": {"search": behaviour.INTENT, "category": behaviour.INTENT, "home": behaviour.INTENT_AT_HOME},
            "price": -behaviour.PRICE,
            "device": dict(zip(vocabulary.DEVICES, behaviour.DEVICE.tolist(), strict=True)),
        },
        "cart": dict(zip(("intercept", "slope"), behaviour.CART, strict=True)),
        "purchase": dict(zip(("intercept", "slope"), behaviour.PURCHASE, strict=True)),
        "drift": None if config.drift_at is None else {"at": config.drift_at, "degrees": config.drift_degrees},
        "broken": None if config.broken_feature is None else {"column": config.broken_feature, "from": config.broken_from},
        "treatment": {
            "share": config.treatment,
            "salt": TREATMENT_SALT,
            "log_odds": config.treatment_effect if config.treatment else 0.0,
            "relative_uplift_of_click_rate": tally.relative_uplift(),
        },
        "auc": {"all": tally.auc(), "last_15_percent_of_days": tally.late_auc()},
    }
    (folder / "truth.json").write_text(json.dumps(truth, indent=2, default=date.isoformat) + "\n")


def _vectors(array: Floats) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(array.astype(np.float32).ravel()), array.shape[1])
