"""A population of shoppers with their requests, from which evaluations of any size can be drawn, and whose metrics are the truth of all.

It is the last 15 % of a simulated shop's time. Models are the true relevance behind noise, so that one can be made worse than another by a
known amount. Shoppers are drawn with all of their requests, with replacement: each time he is drawn, a shopper is another one.
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
    """Requests that were drawn: where their candidates [N] lie in the population, their lengths [R], and who came [R]."""

    candidates: NDArray[np.intp]
    row_lengths: NDArray[np.int64]
    users: NDArray[np.uint64]


@dataclass(frozen=True)
class Population:
    """S shoppers with R requests of N candidates, shopper by shopper."""

    labels: NDArray[np.float32]  # [N]
    gains: NDArray[np.float32]  # [N]
    log_odds: NDArray[np.float64]  # [N], of the relevance
    row_lengths: NDArray[np.int64]  # [R]
    requests: NDArray[np.int64]  # [S], of each shopper

    @classmethod
    def of_shop(cls, *, events: int, seed: int = 0) -> "Population":
        """Of a simulated shop with so many events."""
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
        """The scores [N] of a model that knows the relevance up to noise of its log-odds, with this standard deviation."""
        errors = np.random.default_rng(seed).normal(size=len(self.log_odds))
        return np.asarray(1 / (1 + np.exp(-(self.log_odds + noise * errors))), np.float32)

    def worse_by(self, champion: Scores, fall: float, *, seed: int) -> Scores:
        """The scores of a model whose AUC over the whole population is so much lower than the champion's: its noise by halving."""
        target = self._auc(champion) - fall
        low, high = 0.0, 8.0
        for _ in range(20):
            noise = (low + high) / 2
            low, high = (noise, high) if self._auc(self.scores(noise, seed=seed)) > target else (low, noise)
        return self.scores(low, seed=seed)

    def _auc(self, scores: Scores) -> float:
        return float(ScoreHistogram.from_scores(scores, self.labels > 0).auc)

    def everyone(self) -> Drawn:
        """All requests, each once."""
        users = np.repeat(np.arange(len(self.requests), dtype=np.uint64), self.requests)
        return Drawn(np.arange(len(self.labels)), self.row_lengths, users)

    def drawn(self, shoppers: int, rng: np.random.Generator) -> Drawn:
        """The requests of so many shoppers."""
        who = rng.integers(0, len(self.requests), shoppers)
        first = np.cumsum(self.requests) - self.requests
        rows = _ranges(first[who], self.requests[who])
        start = np.cumsum(self.row_lengths) - self.row_lengths
        names = rng.integers(0, 2**64, shoppers, dtype=np.uint64)
        return Drawn(_ranges(start[rows], self.row_lengths[rows]), self.row_lengths[rows], np.repeat(names, self.requests[who]))

    def summed(self, models: Mapping[str, Scores], drawn: Drawn | None = None) -> dict[str, RequestSums]:
        """The summands of each model's metrics over the requests that were drawn; by default over all, without standard errors."""
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
        """The metrics of each model over the whole population."""
        sums: dict[str, RankingSums] = {name: each.total() for name, each in self.summed(models).items()}
        return {name: each.values(LISTWISE) for name, each in sums.items()}


def _ranges(first: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.intp]:
    """first, first + 1, ... of each, one after another."""
    return np.asarray(np.repeat(first - (np.cumsum(length) - length), length) + np.arange(int(length.sum())), np.intp)
