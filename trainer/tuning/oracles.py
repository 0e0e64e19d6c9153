"""KerasTuner's oracles over a search space: which values the next trial gets."""

from collections.abc import Mapping
from typing import Any

import keras_tuner
from keras_tuner.engine.hyperparameters import Float, Int
from threadpoolctl import threadpool_limits

from components.contract.tuning import Tuning
from trainer.tuning.search_space import Choices, Dimension, Values, encoded


class GuidedOracle(keras_tuner.oracles.BayesianOptimizationOracle):
    """Begins with the default values, and draws where the Gaussian process would try again what has been tried."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Values for the next trial."""
        if not self.trials:
            return _default_values(self)
        # The matrices are small: more threads for them take eight times the processor time.
        with threadpool_limits(1):
            found: dict[str, Any] = super().populate_space(trial_id)
        for each in self.hyperparameters.space:
            if found["values"] is None:
                break
            if isinstance(each, Int):
                # KerasTuner takes the upper end of whole numbers on the scale log for the one beyond it.
                found["values"][each.name] = min(int(found["values"][each.name]), each.max_value)
            elif isinstance(each, Float):
                found["values"][each.name] = float(min(found["values"][each.name], each.max_value))  # of NumPy's till then
        tried = [trial.hyperparameters.values for trial in self.trials.values()]
        return self._random_populate_space() if found["values"] in tried else found


class DrawnOracle(keras_tuner.oracles.RandomSearchOracle):
    """Begins with the default values, then draws."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Values for the next trial."""
        return super().populate_space(trial_id) if self.trials else _default_values(self)


def oracle(tuning: Tuning, space: Mapping[str, Dimension], *, own: Values, seed: int) -> keras_tuner.Oracle:
    """The oracle of a tuning; the first trial gets `own`. The same seed and scores give the same values, trial by trial."""
    given = {
        "objective": keras_tuner.Objective(tuning.objective, "max"),
        "max_trials": tuning.trials,
        "hyperparameters": hyperparameters(space, own=own),
        "allow_new_entries": False,
        "tune_new_entries": False,
        # KerasTuner takes 0 for no seed at all, and draws with seed, seed + 1, ...: neighbours would draw nearly the same.
        "seed": (seed * 1_000_003 + 1) % 2**32,
        # All are tried, however many fail in a row.
        "max_consecutive_failed_trials": tuning.trials + 1,
    }
    match tuning.algorithm:
        case "bayesian":
            # KerasTuner draws three times as many as there are dimensions first, more than most searches have in all. That the number
            # doesn't depend on `trials` lets a search with more of them go on where a shorter one ended.
            # Its beta of 2.6 weighs what is unknown so much that ten trials go to the corners, no better than drawn ones; with 1 they
            # scored higher than drawn ones, on average, with each of five seeds (docs/how-to/tuning.md).
            return GuidedOracle(num_initial_points=len(space) + 1, beta=1.0, **given)
        case "random":
            return DrawnOracle(**given)
        case "grid":
            return keras_tuner.oracles.GridSearchOracle(**given)


def hyperparameters(space: Mapping[str, Dimension], *, own: Values) -> keras_tuner.HyperParameters:
    """The space as KerasTuner's, with the own values as defaults."""
    made = keras_tuner.HyperParameters()
    for name, dimension in space.items():
        if isinstance(dimension, Choices):
            numbers = all(isinstance(encoded(value), int | float) for value in dimension.values)
            values = [encoded(value) if numbers else _text(value) for value in dimension.values]
            made.Choice(name, values, default=encoded(own[name]) if numbers else _text(own[name]))
            continue
        kind = made.Int if dimension.whole else made.Float
        kind(name, dimension.low, dimension.high, sampling="log" if dimension.log else "linear", default=own[name])
    return made


def _text(value: Any) -> str:
    """JSON also of a number: the choices of one setting must be of one type."""
    found = encoded(value)
    return found if isinstance(found, str) else str(found)


def _default_values(oracle: keras_tuner.Oracle) -> dict[str, Any]:
    return {"status": "RUNNING", "values": {each.name: each.default for each in oracle.get_space().space}}
