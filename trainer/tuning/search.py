"""The search itself: KerasTuner's loop over trials, each kept when it has ended, failed ones counted and shown."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner

from components.contract.dataset import Dataset
from components.contract.errors import DatasetFileError, InputError, RunError
from trainer.config import RankerConfig
from trainer.fit.progress_log import PROGRESS
from trainer.tuning.oracles import oracle
from trainer.tuning.search_space import Values, decoded, own_values, search_space, trial_config, tuning_of
from trainer.tuning.trial_journal import Journal, trial_key
from trainer.tuning.trials import Outcome, Trial, best_first, values_text

Score = Callable[[RankerConfig], tuple[float, int]]
"""Trains with some settings; gives the objective and the number of epochs.

Raises:
    RunError: these settings can't be trained with, which another attempt wouldn't change.
    InputError: no settings would do.
"""

_log = logging.getLogger(__name__)


class Search(BaseTuner):
    """A search over the space of a dataset's `tuning`.

    A trial that an earlier search has ended is found in the journal and not trained again. One whose training fails is counted, and the
    search goes on. Of KerasTuner it is the loop and the oracle; models, and KerasTuner's Keras 3, don't come into it.

    Args:
        dataset: with a part `tuning`.
        score: what a trial is worth.
        journal: of finished trials.
        directory: for KerasTuner's own files, written anew.

    Attributes:
        trials: those that have ended, in their order.
    """

    def __init__(self, dataset: Dataset, *, score: Score, journal: Journal, directory: str) -> None:
        space, tuning = search_space(dataset), tuning_of(dataset)
        seed = dataset.seed if tuning.seed is None else tuning.seed
        chosen = oracle(tuning, space, own=own_values(dataset, space), seed=seed)
        chosen.verbose = 0  # It would print tables; what there is to say goes the way of all progress.
        super().__init__(chosen, directory=directory, project_name="search", overwrite=True)
        self.trials: list[Trial] = []
        self._dataset, self._tuning, self._score, self._journal = dataset, tuning, score, journal

    def run_trial(self, trial: Any) -> dict[str, float]:
        """Train with the trial's values, or find what came of them before; returns the objective."""
        number, values = len(self.trials) + 1, decoded(trial.hyperparameters.values)
        called = f"trial {number} of {self._tuning.trials}"
        PROGRESS.info("%s  %s", called, values_text(values))
        outcome, kept = self._outcome(values)
        self.trials.append(Trial(number, values, outcome, kept))
        PROGRESS.info("%s  %s", called, _told(self.trials))
        if outcome.score is None:
            raise keras_tuner.errors.FailedTrialError(outcome.fault)
        return {self._tuning.objective: outcome.score}

    def on_search_end(self) -> None:
        """Tell the best.

        Raises:
            RunError: no trial came to a score.
        """
        ranked = best_first(self.trials)
        best, failed = ranked[0], sum(trial.outcome.score is None for trial in ranked)
        if best.outcome.score is None:
            raise RunError(
                f"expected a trial that comes to its end, all {failed} failed, the first with {values_text(self.trials[0].values)}: "
                f"{self.trials[0].outcome.fault}; look at `model` and `tuning` in the dataset file"
            )
        PROGRESS.info(
            "best of %d trials%s: trial %d, eval AUC %.4f  %s",
            len(ranked),
            f", {failed} of them failed" if failed else "",
            best.number,
            best.outcome.score,
            values_text(best.values),
        )

    def _outcome(self, values: Values) -> tuple[Outcome, bool]:
        """What comes of the values, and whether the journal knew it."""
        try:
            config = trial_config(self._dataset, values)
        except DatasetFileError as error:  # Each of them can be, but not together.
            return Outcome(None, 0, 0.0, str(error)), False
        key = trial_key(self._dataset, config)
        if found := self._journal.find(key):
            return found, True
        outcome, settled = self._trained(config)
        if settled:
            self._journal.keep(key, outcome, values)
        return outcome, False

    def _trained(self, config: RankerConfig) -> tuple[Outcome, bool]:
        """What comes of training, and whether it always would."""
        began = time.monotonic()

        def outcome(score: float | None, epochs: int = 0, fault: str = "") -> Outcome:
            return Outcome(score, epochs, round(time.monotonic() - began, 1), fault)

        try:
            score, epochs = self._score(config)
        except InputError as error:
            raise keras_tuner.errors.FatalError(str(error)) from error
        except RunError as error:
            return outcome(None, fault=str(error)), True
        except Exception as error:
            # It may be for want of memory or disk, and go well in a search that is started again.
            _log.exception("a trial failed")
            return outcome(None, fault=f"{type(error).__name__}: {error}"), False
        if not math.isfinite(score):
            return outcome(None, epochs, f"expected a number for {self._tuning.objective} in the eval window, got {score}"), True
        return outcome(score, epochs), True


def _told(trials: Sequence[Trial]) -> str:
    last = trials[-1]
    if last.outcome.score is None:
        return f"failed: {last.outcome.fault}"
    took = "kept from an earlier run" if last.kept else f"{last.outcome.epochs} epochs in {last.outcome.seconds:.0f} s"
    best = best_first(trials)[0]
    rank = "the best so far" if best is last else f"the best so far {best.outcome.score:.4f}"
    return f"eval AUC {last.outcome.score:.4f}, {rank}  ({took})"
