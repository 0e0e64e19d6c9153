"""Choose the values of the next trial, by KerasTuner's oracles over a search space."""

from collections.abc import Mapping
from typing import Any

import keras_tuner
from keras_tuner.engine.hyperparameters import Float, Int
from threadpoolctl import threadpool_limits

from components.contract.tuning import Tuning
from trainer.tuning.search_space import Choices, Dimension, Values, encoded


class GuidedOracle(keras_tuner.oracles.BayesianOptimizationOracle):
    """Begin with the default values, and draw at random where the Gaussian process proposes tried ones."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the values of the next trial."""
        if not self.trials:
            return _default_values(self)
        # The matrices are small: with more threads they take eight times the processor time.
        with threadpool_limits(1):
            proposal: dict[str, Any] = super().populate_space(trial_id)
        for each in self.hyperparameters.space:
            if proposal["values"] is None:
                break
            if isinstance(each, Int):
                # On a log scale KerasTuner can return the whole number above the upper bound.
                proposal["values"][each.name] = min(int(proposal["values"][each.name]), each.max_value)
            elif isinstance(each, Float):
                proposal["values"][each.name] = float(min(proposal["values"][each.name], each.max_value))  # a NumPy float before
        tried = [trial.hyperparameters.values for trial in self.trials.values()]
        return self._random_populate_space() if proposal["values"] in tried else proposal


class DrawnOracle(keras_tuner.oracles.RandomSearchOracle):
    """Begin with the default values, then draw at random."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the values of the next trial."""
        return super().populate_space(trial_id) if self.trials else _default_values(self)


def oracle(tuning: Tuning, space: Mapping[str, Dimension], *, own: Values, seed: int) -> keras_tuner.Oracle:
    """Make the oracle of a tuning, whose first trial is `own`; the same seed and scores give the same trials."""
    arguments = {
        "objective": keras_tuner.Objective(tuning.objective, "max"),
        "max_trials": tuning.trials,
        "hyperparameters": hyperparameters(space, own=own),
        "allow_new_entries": False,
        "tune_new_entries": False,
        # KerasTuner takes 0 for no seed, and draws with seed, seed + 1, ...: neighbouring seeds would draw nearly the
        # same values.
        "seed": (seed * 1_000_003 + 1) % 2**32,
        # No number of failures in a row ends the search.
        "max_consecutive_failed_trials": tuning.trials + 1,
    }
    match tuning.algorithm:
        case "bayesian":
            # KerasTuner draws three times as many initial points as there are dimensions, more than most searches have
            # trials. As their number doesn't depend on `trials`, a search with more trials continues a shorter one.
            # KerasTuner's beta of 2.6 explores so much that ten trials go to the corners of the space and are no better
            # than random ones; with 1 they scored higher than random ones, on average, with each of five seeds
            # (docs/how-to/tuning.md).
            return GuidedOracle(num_initial_points=len(space) + 1, beta=1.0, **arguments)
        case "random":
            return DrawnOracle(**arguments)
        case "grid":
            return keras_tuner.oracles.GridSearchOracle(**arguments)


def hyperparameters(space: Mapping[str, Dimension], *, own: Values) -> keras_tuner.HyperParameters:
    """Convert the space to KerasTuner's, with the own values as defaults."""
    converted = keras_tuner.HyperParameters()
    for name, dimension in space.items():
        if isinstance(dimension, Choices):
            numbers = all(isinstance(encoded(value), int | float) for value in dimension.values)
            values = [encoded(value) if numbers else _text(value) for value in dimension.values]
            converted.Choice(name, values, default=encoded(own[name]) if numbers else _text(own[name]))
            continue
        kind = converted.Int if dimension.whole else converted.Float
        kind(name, dimension.low, dimension.high, sampling="log" if dimension.log else "linear", default=own[name])
    return converted


def _text(value: Any) -> str:
    """Encode a value as text, numbers too: all choices of a setting must be of one type."""
    code = encoded(value)
    return code if isinstance(code, str) else str(code)


def _default_values(oracle: keras_tuner.Oracle) -> dict[str, Any]:
    return {"status": "RUNNING", "values": {each.name: each.default for each in oracle.get_space().space}}
