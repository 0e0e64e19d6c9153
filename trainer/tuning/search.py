"""Run the search: KerasTuner's loop over trials, with a journal of finished trials and a record of failed ones."""

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
"""Train with some settings; return the objective and the number of epochs.

Raises:
    RunError: training fails with these settings, and would again.
    InputError: training would fail with any settings.
"""

_log = logging.getLogger(__name__)


class Search(BaseTuner):
    """Search the space of a dataset's `tuning`.

    A trial that an earlier search has finished is read from the journal and not trained again. If a trial's training
    fails, the search continues. Only KerasTuner's loop and oracle are used; models, and KerasTuner's Keras 3, aren't.

    Args:
        dataset: with a part `tuning`.
        score: trains a trial.
        journal: of finished trials.
        directory: for KerasTuner's own files, which are overwritten.

    Attributes:
        trials: all that have ended, in their order.
    """

    def __init__(self, dataset: Dataset, *, score: Score, journal: Journal, directory: str) -> None:
        space, tuning = search_space(dataset), tuning_of(dataset)
        seed = dataset.seed if tuning.seed is None else tuning.seed
        chosen = oracle(tuning, space, own=own_values(dataset, space), seed=seed)
        chosen.verbose = 0  # No tables on standard output; progress is logged.
        super().__init__(chosen, directory=directory, project_name="search", overwrite=True)
        self.trials: list[Trial] = []
        self._dataset, self._tuning, self._score, self._journal = dataset, tuning, score, journal

    def run_trial(self, trial: Any) -> dict[str, float]:
        """Train with the trial's values, or read their outcome from the journal; return the objective."""
        number, values = len(self.trials) + 1, decoded(trial.hyperparameters.values)
        label = f"trial {number} of {self._tuning.trials}"
        PROGRESS.info("%s  %s", label, values_text(values))
        outcome, kept = self._outcome(values)
        self.trials.append(Trial(number, values, outcome, kept))
        PROGRESS.info("%s  %s", label, _summary(self.trials))
        if outcome.score is None:
            raise keras_tuner.errors.FailedTrialError(outcome.fault)
        return {self._tuning.objective: outcome.score}

    def on_search_end(self) -> None:
        """Log the best trial.

        Raises:
            RunError: all trials failed.
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
        """Return the outcome of the values, and whether it was in the journal."""
        try:
            config = trial_config(self._dataset, values)
        except DatasetFileError as error:  # each value is valid, but not their combination
            return Outcome(None, 0, 0.0, str(error)), False
        key = trial_key(self._dataset, config)
        if outcome := self._journal.find(key):
            return outcome, True
        outcome, repeatable = self._train(config)
        if repeatable:
            self._journal.keep(key, outcome, values)
        return outcome, False

    def _train(self, config: RankerConfig) -> tuple[Outcome, bool]:
        """Train, and return the outcome and whether another attempt would have the same."""
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
            # Perhaps memory or disk ran out, and the trial succeeds when the search is started again.
            _log.exception("a trial failed")
            return outcome(None, fault=f"{type(error).__name__}: {error}"), False
        if not math.isfinite(score):
            return outcome(None, epochs, f"expected a number for {self._tuning.objective} in the eval window, got {score}"), True
        return outcome(score, epochs), True


def _summary(trials: Sequence[Trial]) -> str:
    """Describe the last trial's outcome."""
    last = trials[-1]
    if last.outcome.score is None:
        return f"failed: {last.outcome.fault}"
    cost = "kept from an earlier run" if last.kept else f"{last.outcome.epochs} epochs in {last.outcome.seconds:.0f} s"
    best = best_first(trials)[0]
    rank = "the best so far" if best is last else f"the best so far {best.outcome.score:.4f}"
    return f"eval AUC {last.outcome.score:.4f}, {rank}  ({cost})"
