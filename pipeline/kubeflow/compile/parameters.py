"""Declare the runtime parameters of a compiled pipeline, which each run can set."""

from dataclasses import dataclass

from tfx.orchestration.data_types import RuntimeParameter

DATA_ROOT, PUSH_DESTINATION, DATA_UNTIL, TRAINING_STEPS = "data_root", "push_destination", "data_until", "training_steps"
TRAINING_START = "training_start"


@dataclass(frozen=True)
class Parameter:
    """A runtime parameter; its default is used by runs that don't set it."""

    name: str
    default: str | int
    about: str

    def placeholder(self) -> RuntimeParameter:
        """Return the placeholder for the graph. TFX accepts it only as a whole parameter of a component."""
        return RuntimeParameter(name=self.name, ptype=type(self.default), default=self.default)


def parameters(*, data_root: str, push_destination: str) -> tuple[Parameter, ...]:
    """Return all runtime parameters; two have defaults that depend on the cluster."""
    return (
        Parameter(DATA_ROOT, data_root, "folder or address that relative paths of the dataset file are looked up under"),
        Parameter(PUSH_DESTINATION, push_destination, "the store: releases and what serves them go into folders beneath it"),
        Parameter(DATA_UNTIL, "", "ISO date or date-time at which the data ends; empty: as the dataset file says"),
        Parameter(TRAINING_STEPS, 0, "how many batches the Trainer learns from; 0: as many as the dataset file says"),
        Parameter(TRAINING_START, "", "warm: from the champion's weights; full: from random ones; empty: as the dataset file says"),
    )
