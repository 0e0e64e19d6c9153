"""The journal of finished trials: what keeps them when a search is killed."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import Any

import tensorflow as tf

from components.contract.dataset import Dataset
from trainer.config import RankerConfig
from trainer.tuning.trials import Outcome

_NOT_IN_TRAINING = {"tuning", "gates", "slices", "bands"}


@dataclass(frozen=True)
class Journal:
    """Outcomes in a folder, a file each, by what they depend on.

    The search itself is not kept: begun again with the same seed it comes by the same values, and finds their outcomes here. (KerasTuner's
    own files don't hold the random state of its Bayesian search, and a kill can leave them half written or at odds with each other.)
    """

    folder: str

    def find(self, key: str) -> Outcome | None:
        """The outcome kept under a key."""
        file = self._file(key)
        if not tf.io.gfile.exists(file):
            return None
        with tf.io.gfile.GFile(file) as opened:
            return Outcome(**json.loads(opened.read())["outcome"])

    def keep(self, key: str, outcome: Outcome, values: dict[str, Any]) -> None:
        """Keep an outcome, whole or not at all; the values stand beside it for whoever looks into the folder."""
        tf.io.gfile.makedirs(self.folder)
        unfinished = f"{self._file(key)}.unfinished"
        with tf.io.gfile.GFile(unfinished, "w") as opened:
            opened.write(json.dumps({"values": values, "outcome": asdict(outcome)}, indent=1))
        tf.io.gfile.rename(unfinished, self._file(key), overwrite=True)

    def _file(self, key: str) -> str:
        return os.path.join(self.folder, f"{key}.json")


def trial_key(dataset: Dataset, config: RankerConfig) -> str:
    """Digest of what an outcome depends on besides data and code: the settings, and what training reads of the dataset file."""
    text = dataset.model_dump_json(exclude=_NOT_IN_TRAINING) + config.model_dump_json()
    return hashlib.sha256(text.encode()).hexdigest()[:20]
