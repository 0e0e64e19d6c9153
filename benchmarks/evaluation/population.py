"""Draw evaluations of any size from a population of shoppers with their requests, whose metrics are the truth.

The population is the last 15 % of a simulated shop's time. Models score by the true relevance with noise, so that one
can be made worse than another by a known amount. Shoppers are drawn with all of their requests, with replacement: each
draw counts as a distinct shopper.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.evaluation.metrics.metric_accumulator import RankingSums, Requests, RequestSums, request_sums
from components.evaluation.metrics.score_histogram import ScoreHistogram
from components.simulator import ShopConfig, simulate

LISTWISE = ("precision_at_5", "ndcg_at_10")
SHARE = 0.15

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Drawn:
    """Drawn requests: indices of their candidates [N] in the population, their lengths [R], and their shoppers [R]."""

    candidates: NDArray[np.intp]
    row_lengths: NDArray[np.int64]
    users: NDArray[np.uint64]


@dataclass(frozen=True)
class Population:
    """S shoppers with R requests of N candidates, sorted by shopper."""

    labels: NDArray[np.float32]  # [N]
    gains: NDArray[np.float32]  # [N]
    log_odds: NDArray[np.float64]  # [N], of the relevance
    row_lengths: NDArray[np.int64]  # [R]
    requests: NDArray[np.int64]  # [S], of each shopper

    @classmethod
    def of_shop(cls, *, events: int, seed: int = 0) -> "Population":
        """Simulate a shop with this number of events."""
        with tempfile.TemporaryDirectory() as temporary:
            simulate(Path(temporary), ShopConfig(events=events, seed=seed))
            log = pl.read_parquet(Path(temporary) / "events" / "*.parquet")
            truth = pl.read_parquet(Path(temporary) / "truth" / "relevance-*.parquet").select("request_id", "item_id", "relevance")
        gain = pl.when(pl.col("action") == "purchase").then(5.0).otherwise(1.0)
        acted = log.filter(pl.col("action").is_in(["click", "purchase"])).group_by("request_id", "item_id").agg(gain=gain.max())
        shown = log.filter(pl.col("action") == "impression")
        begin = shown["time"].min() + (shown["time"].max() - shown["time"].min()) * (1 - SHARE)  # type: ignore[operator]
        rows = (
            shown.filter(pl.col("time") >= begin)
            .join(truth, on=["request_id", "item_id"])
            .join(acted, on=["request_id", "item_id"], how="left")
            .sort("user_id", "request_id", "position")
        )
        by_request = rows.group_by("request_id", maintain_order=True).agg(pl.len(), pl.col("user_id").first())
        gains = rows["gain"].fill_null(0.0).to_numpy().astype(np.float32)
        relevance = rows["relevance"].to_numpy().astype(np.float64)
        return cls(
            labels=(gains > 0).astype(np.float32),
            gains=gains,
            log_odds=np.log(relevance / (1 - relevance)),
            row_lengths=by_request["len"].to_numpy().astype(np.int64),
            requests=by_request.group_by("user_id", maintain_order=True).len()["len"].to_numpy().astype(np.int64),
        )

    def scores(self, noise: float, *, seed: int) -> Scores:
        """Score [N] by the relevance with noise of this standard deviation on its log-odds."""
        errors = np.random.default_rng(seed).normal(size=len(self.log_odds))
        return np.asarray(1 / (1 + np.exp(-(self.log_odds + noise * errors))), np.float32)

    def worse_by(self, champion: Scores, fall: float, *, seed: int) -> Scores:
        """Score by a model whose AUC over all is lower than the champion's by `fall`; bisects its noise."""
        target = self._auc(champion) - fall
        low, high = 0.0, 8.0
        for _ in range(20):
            noise = (low + high) / 2
            low, high = (noise, high) if self._auc(self.scores(noise, seed=seed)) > target else (low, noise)
        return self.scores(low, seed=seed)

    def _auc(self, scores: Scores) -> float:
        return float(ScoreHistogram.from_scores(scores, self.labels > 0).auc)

    def everyone(self) -> Drawn:
        """Return all requests, each once."""
        users = np.repeat(np.arange(len(self.requests), dtype=np.uint64), self.requests)
        return Drawn(np.arange(len(self.labels)), self.row_lengths, users)

    def drawn(self, shoppers: int, rng: np.random.Generator) -> Drawn:
        """Draw the requests of this number of shoppers."""
        who = rng.integers(0, len(self.requests), shoppers)
        first = np.cumsum(self.requests) - self.requests
        rows = _ranges(first[who], self.requests[who])
        start = np.cumsum(self.row_lengths) - self.row_lengths
        names = rng.integers(0, 2**64, shoppers, dtype=np.uint64)
        return Drawn(_ranges(start[rows], self.row_lengths[rows]), self.row_lengths[rows], np.repeat(names, self.requests[who]))

    def summed(self, models: Mapping[str, Scores], drawn: Drawn | None = None) -> dict[str, RequestSums]:
        """Accumulate each model's metrics over drawn requests; by default over all, without standard errors."""
        chosen = self.everyone() if drawn is None else drawn
        where = chosen.candidates
        return {
            name: request_sums(
                Requests(self.labels[where], scores[where], self.gains[where], chosen.row_lengths, None if drawn is None else drawn.users),
                LISTWISE,
            )
            for name, scores in models.items()
        }

    def truth(self, models: Mapping[str, Scores]) -> dict[str, dict[str, float]]:
        """Compute the metrics of each model over the whole population."""
        sums: dict[str, RankingSums] = {name: each.total() for name, each in self.summed(models).items()}
        return {name: each.values(LISTWISE) for name, each in sums.items()}


def _ranges(first: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.intp]:
    """Concatenate the ranges first, first + 1, ..., first + length - 1."""
    return np.asarray(np.repeat(first - (np.cumsum(length) - length), length) + np.arange(int(length.sum())), np.intp)
