"""The requests of a run's split: what is judged, and whatever else is taken from them in the same pass."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.contract.columns import columns, gain_amounts, gains
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.evaluation.metrics.metric_accumulator import RankingSums, gains_from, sums
from components.schema.parsing import Features, parse
from trainer.distillation.soft_labels import user_hashes

BATCH = 512
CONFIDENCE_95 = 1.96  # standard errors on either side, by the normal distribution

Scores = NDArray[np.float32]
View = Callable[[tf.Tensor, Features], dict[str, NDArray[Any]]]
"""From serialized requests and their parsed columns to named arrays with a value for each candidate."""


@dataclass(frozen=True)
class Judged:
    """R requests with N candidates, without scores."""

    labels: Scores  # [N]
    gains: Scores  # [N]
    row_lengths: NDArray[np.int64]  # [R]
    users: NDArray[np.uint64]  # [R], hashes; a guest's request is a shopper of its own

    def sums(self, scores: Scores) -> RankingSums:
        """All metrics of the scores [N]."""
        return sums(self.labels, scores, gains=self.gains, row_lengths=self.row_lengths, users=self.users)


def arguments(about: str | None) -> argparse.ArgumentParser:
    """A command line that begins with a dataset file and the folder of a run."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", metavar="DATASET.yaml")
    parser.add_argument("--root", type=Path, required=True, help="folder of the run")
    return parser


def newest(root: Path, output: str) -> Path:
    """The newest artifact of a run, by component and output, such as `Trainer/model`.

    Raises:
        InputError: the run has none.
    """
    paths = [path for path in root.glob(f"artifacts/{output}/*") if path.name.isdecimal()]
    if not paths:
        raise InputError(f"expected artifacts of a run in {root / 'artifacts' / output}, found none; run the graph with this --root first")
    return max(paths, key=lambda path: int(path.name))


def files(examples: Path, split: str) -> list[str]:
    """The files of a split."""
    return sorted(map(str, examples.glob(f"Split-{split}/*")))


def batches(dataset: Dataset, examples: Path, split: str) -> Iterator[tuple[tf.Tensor, Features]]:
    """Serialized requests and all their columns, in an order that never changes."""
    table = columns(dataset)
    for records in tf.data.TFRecordDataset(files(examples, split)).batch(BATCH):
        yield records, parse(records, table)


def read(dataset: Dataset, examples: Path, split: str, views: Sequence[View]) -> tuple[Judged, list[dict[str, NDArray[Any]]]]:
    """What is judged of a split, and what each view makes of it."""
    parts = [
        (_judged(dataset, features), [view(records, features) for view in views]) for records, features in batches(dataset, examples, split)
    ]
    judged = {name: np.concatenate([getattr(part, name) for part, _ in parts]) for name in ("labels", "gains", "row_lengths", "users")}
    seen = [{name: np.concatenate([viewed[at][name] for _, viewed in parts]) for name in parts[0][1][at]} for at in range(len(views))]
    return Judged(**judged), seen


def _judged(dataset: Dataset, features: Features) -> Judged:
    acted, amounts = (
        {name: features[column].flat_values.numpy() for name, column in named.items()}
        for named in ({name: name for name in gains(dataset)}, gain_amounts(dataset))
    )
    return Judged(
        labels=features["label"].flat_values.numpy(),
        gains=gains_from(acted, gains(dataset), amounts),
        row_lengths=features["label"].row_lengths().numpy(),
        users=user_hashes(features),
    )
