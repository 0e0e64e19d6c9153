"""Warm start: initialize a new ranker with those weights of the champion that still have the same meaning.

- Rows of an embedding table by their keys (`trainer.warm_start.embedding_keys`): an id or a category by its value,
  whatever its index in the new vocabulary; hash buckets by their index; a number's buckets by their quantile.
- All other weights, and the statistics of batch normalisation, by name and shape, provided that the network has the
  same inputs in the same order.

Numbers are standardized by the mean and deviation of the training window, which differ from run to run. A weight that
is carried over then applies to "so many deviations above the mean of now", as an embedding applies to "the seventh part
of now". It isn't recomputed for the new scale: the cross layers multiply inputs with each other, so there is no exact
way, and the difference from one run to the next is small beside the changes of a first epoch.

Adam's moments aren't carried over: they would treble the size of every release, belong to the last step's weights while
a release holds averages, and are accurate again within some tens of steps.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import tensorflow_transform as tft
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from trainer.config import RankerConfig
from trainer.model.ranker import Ranker
from trainer.warm_start.champion_weights import ChampionWeights, as_text, network_inputs, read_champion, split_seed
from trainer.warm_start.embedding_keys import Key, keys, table_spans
from trainer.warm_start.variable_names import weights

PROGRESS = logging.getLogger("shelfrank.progress")

Weights = Mapping[str, NDArray[np.float32]]
_PROPENSITIES = "bias/of_place"
_MAX_NAMES = 5  # of initialized weights in a log line


@dataclass(frozen=True)
class WarmStart:
    """Initial weights of a training.

    Attributes:
        champion: its weights; None: begin with random ones.
        name: of the champion, for the log.
        since_us: time of the first request that is new to it, microseconds since the epoch.
        refresh: return the weights of an epoch even if the champion's are better, and keep the champion's calibration:
            the caller compares both.
    """

    champion: ChampionWeights | None = None
    name: str = ""
    since_us: int = 0
    refresh: bool = False


COLD = WarmStart()


@dataclass(frozen=True)
class CarryOver:
    """Summary of the weights that were carried over.

    Attributes:
        carried: weights of which at least some rows were.
        initialized: weights that keep their random initial values.
        entries: for each table with a vocabulary, how many of its entries were carried over, and how many it has.
    """

    carried: tuple[str, ...]
    initialized: tuple[str, ...]
    entries: dict[str, tuple[int, int]]

    def line(self, champion: str) -> str:
        """Format as `warm start from release 3: 41 of 44 tables and kernels; 1,204 of 1,310 keys of item; new: ...`."""
        parts = [f"{len(self.carried)} of {len(self.carried) + len(self.initialized)} tables and kernels"]
        parts += [f"{carried:,} of {total:,} keys of {name.removeprefix('tables/')}" for name, (carried, total) in self.entries.items()]
        if self.initialized:
            rest = len(self.initialized) - _MAX_NAMES
            parts.append(f"new: {', '.join(self.initialized[:_MAX_NAMES])}" + (f" and {rest} more" if rest > 0 else ""))
        return f"warm start from {champion}: {'; '.join(parts)}"


def warm_start(base_model: str | None, name: str, *, config: RankerConfig, dataset: Dataset, last_request_us: int) -> WarmStart:
    """Read the champion's weights; where they can't be used, log why and start with random ones.

    Args:
        base_model: folder of the champion's SavedModel.
        name: of the champion.
        config: `warm_start` and `warm_window`.
        dataset: of the new run.
        last_request_us: time of the last request of the new run's training window, microseconds since the epoch.
    """
    if not config.warm_start:
        return COLD
    champion = read_champion(base_model) if base_model else None
    reason = _mismatch(champion, config, dataset, last_request_us)
    if champion is None or reason:
        PROGRESS.warning("no warm start: %s; training begins with drawn weights, on the whole training window", reason)
        return COLD
    return WarmStart(champion, name, min(last_request_us - round((config.warm_window or 0) * 1e6), champion.trained_until_us + 1))


def carry_over(model: Ranker, *, graph: tft.TFTransformOutput, warm: WarmStart) -> None:
    """Assign the champion's weights, if there is one, to a built ranker, and log how many."""
    if warm.champion is None:
        return
    variables = weights(model)
    new_keys = {
        name: keys(spans, lambda vocabulary: as_text(graph.vocabulary_by_name(vocabulary)))
        for name, spans in table_spans(model.plan).items()
    }
    initial = {name: variable.numpy() for name, variable in variables.items()}
    values, summary = carried_weights(initial, new_keys, network_inputs(model.plan), warm.champion)
    for name, value in values.items():
        variables[name].assign(value)
    PROGRESS.info("%s", summary.line(warm.name))


def carried_weights(
    initial: Weights, new_keys: Mapping[str, Sequence[Key]], inputs: Sequence[str], champion: ChampionWeights
) -> tuple[dict[str, NDArray[np.float32]], CarryOver]:
    """Return new values for the weights of which something can be carried over, and a summary.

    Args:
        initial: the new model's weights as initialized.
        new_keys: the keys of its tables' rows.
        inputs: of its network (`trainer.warm_start.champion_weights.network_inputs`).
        champion: the weights to carry over.
    """
    values: dict[str, NDArray[np.float32]] = {}
    entries: dict[str, tuple[int, int]] = {}
    for name, value in initial.items():
        old = champion.weights.get(name)
        if name in new_keys:
            in_vocabulary = np.array([kind == "entry" for kind, _ in new_keys[name]], bool)
            carried = np.zeros(len(value), bool)
            if old is not None and name in champion.keys and old.shape[1] == value.shape[1]:
                rows, carried = _carried_rows(value, new_keys[name], old, champion.keys[name])
                if carried.any():
                    values[name] = rows
            if in_vocabulary.any():
                entries[name] = (int((carried & in_vocabulary).sum()), int(in_vocabulary.sum()))
        elif old is not None and old.shape == value.shape and list(inputs) == champion.inputs:
            values[name] = old
    return values, CarryOver(tuple(values), tuple(name for name in initial if name not in values), entries)


def _carried_rows(
    initial: NDArray[np.float32], new_keys: Sequence[Key], old: NDArray[np.float32], old_keys: Sequence[Key]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the rows [R, D], the champion's by key where it has trained ones; and which are the champion's [R]."""
    index = {key: at for at, key in enumerate(old_keys)}
    at = np.array([index.get(key, -1) for key in new_keys])
    trained: NDArray[np.bool_] = np.any(old != 0, axis=1)
    carried = (at >= 0) & trained[at]
    return np.where(carried[:, None], old[at], initial), carried


def _mismatch(champion: ChampionWeights | None, config: RankerConfig, dataset: Dataset, last_request_us: int) -> str:
    """Explain why the weights can't be carried over; "" if they can."""
    if champion is None:
        return "the champion is no trained model that left its weights to a successor"
    if champion.split_seed != split_seed(dataset):
        return "the champion's windows were split by another seed or by time, so it may have been trained on what this run judges by"
    if config.position_bias == "ips" and _PROPENSITIES not in champion.weights:
        return "the champion has no propensities of examination, which `position_bias: ips` estimates from the whole training window"
    if champion.trained_until_us > last_request_us:
        until, last = (
            datetime.fromtimestamp(each / 1e6, UTC).isoformat(" ", "minutes") for each in (champion.trained_until_us, last_request_us)
        )
        return (
            f"the champion was trained on requests up to {until}, this run's training window ends {last}: it may know what it is judged by"
        )
    return ""
