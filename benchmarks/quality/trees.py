"""Tune LightGBM by a random search with early stopping on the eval split, then fit it to all training requests."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import lightgbm
import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.split_data import Judged, Scores

Objective = Literal["binary", "lambdarank"]

SEARCHED_CANDIDATES = 300_000
"""Above it the search fits whole requests drawn from the training split."""

_ROUNDS = 2_000
_PATIENCE = 40
_SPACE: dict[str, tuple[Any, ...]] = {
    "num_leaves": (7, 15, 31, 63, 127),
    "learning_rate": (0.04, 0.07, 0.1),
    "min_data_in_leaf": (20, 50, 100, 200, 500),
    "feature_fraction": (0.4, 0.6, 0.8, 1.0),
    "bagging_fraction": (0.6, 0.8, 1.0),
    "lambda_l2": (0.0, 1.0, 10.0, 50.0),
    "cat_smooth": (10.0, 100.0),
}
_OF_LISTS: dict[str, tuple[Any, ...]] = {"lambdarank_truncation_level": (10, 20, 30), "lambdarank_norm": (True, False)}


@dataclass(frozen=True)
class Split:
    """Inputs, labels and gains of N candidates for trees."""

    inputs: NDArray[np.float32]  # [N, F]
    judged: Judged


@dataclass(frozen=True)
class Fitted:
    """Booster with the best settings."""

    booster: lightgbm.Booster
    names: list[str]
    settings: Mapping[str, Any]
    seconds: float  # of the last fit alone
    search_seconds: float

    def scores(self, inputs: NDArray[np.float32]) -> Scores:
        """Score [N]; of the objective `binary` the scores are probabilities."""
        return np.asarray(self.booster.predict(inputs), np.float32)

    def gain(self) -> dict[str, float]:
        """Return each feature's share of the loss reduction, the greatest first."""
        gain = self.booster.feature_importance("gain")
        shares = dict(zip(self.names, (gain / gain.sum()).tolist(), strict=True))
        return dict(sorted(shares.items(), key=lambda each: -each[1]))


@dataclass(frozen=True)
class Forest:
    """Training data of boosters: both splits, the names of the features, and which of them are categorical."""

    train: Split
    evaluation: Split
    names: list[str]
    categories: list[str]

    def searched(self, objective: Objective, *, trials: int, seed: int) -> tuple[dict[str, Any], float]:
        """Search the best of `trials` draws, by eval AUC (binary) or NDCG@10 (lambdarank), and the seconds."""
        rng, begin = np.random.default_rng(seed), time.monotonic()
        train = _drawn(self.train, rng)
        space = _SPACE | (_OF_LISTS if objective == "lambdarank" else {})
        # The first draw is LightGBM's default, so that no search ends below it by chance.
        drawn = [{"learning_rate": 0.1}, *({name: rng.choice(values).item() for name, values in space.items()} for _ in range(trials - 1))]
        data = self._datasets(objective, train)
        tried = [(self._fit(objective, settings, data, seed=seed).best_score["eval"], settings) for settings in drawn]
        best = max(tried, key=lambda each: next(iter(each[0].values())))
        return best[1], time.monotonic() - begin

    def fitted(self, objective: Objective, settings: Mapping[str, Any], *, seed: int, search_seconds: float) -> Fitted:
        """Fit a booster with these settings on the whole training split, with early stopping by the eval split."""
        begin = time.monotonic()
        booster = self._fit(objective, settings, self._datasets(objective, self.train), seed=seed)
        return Fitted(booster, self.names, settings, time.monotonic() - begin, search_seconds)

    def _datasets(self, objective: Objective, train: Split) -> tuple[lightgbm.Dataset, lightgbm.Dataset]:
        def made(split: Split, reference: lightgbm.Dataset | None) -> lightgbm.Dataset:
            labels = split.judged.labels if objective == "binary" else np.searchsorted(self._distinct_gains, split.judged.gains)
            return lightgbm.Dataset(
                split.inputs,
                labels,
                reference=reference,
                group=split.judged.row_lengths if objective == "lambdarank" else None,
                categorical_feature=[self.names.index(name) for name in self.categories],
                params={"feature_pre_filter": False, "verbosity": -1},
                free_raw_data=False,
            )

        training = made(train, None)
        return training, made(self.evaluation, training)

    def _fit(
        self, objective: Objective, settings: Mapping[str, Any], data: tuple[lightgbm.Dataset, lightgbm.Dataset], *, seed: int
    ) -> lightgbm.Booster:
        judged_by = (
            {"metric": "auc"} if objective == "binary" else {"metric": "ndcg", "eval_at": [10], "label_gain": self._distinct_gains.tolist()}
        )
        fixed = {"objective": objective, "seed": seed, "bagging_freq": 1, "verbosity": -1, "deterministic": True}
        stop = lightgbm.early_stopping(_PATIENCE, verbose=False)
        train, evaluation = data
        return lightgbm.train(fixed | judged_by | dict(settings), train, _ROUNDS, [evaluation], ["eval"], callbacks=[stop])

    @property
    def _distinct_gains(self) -> NDArray[np.float32]:
        """Return the distinct gains, ascending: LightGBM's labels are their indices, `label_gain` these values."""
        return np.unique(np.concatenate([[0.0], self.train.judged.gains, self.evaluation.judged.gains])).astype(np.float32)


def _drawn(split: Split, rng: np.random.Generator) -> Split:
    judged = split.judged
    share = SEARCHED_CANDIDATES / len(judged.labels)
    if share >= 1:
        return split
    kept = rng.random(len(judged.row_lengths)) < share
    inside = np.repeat(kept, judged.row_lengths)
    return Split(split.inputs[inside], Judged(judged.labels[inside], judged.gains[inside], judged.row_lengths[kept], judged.users[kept]))
