"""Keep a journal of finished trials, by which a killed search resumes."""

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
    """Store outcomes in a folder, one file each, by a key of what they depend on.

    The state of the search isn't stored: started again with the same seed it proposes the same values, whose outcomes
    are read here. (KerasTuner's own files lack the random state of its Bayesian search, and a kill can leave them
    incomplete or inconsistent.)
    """

    folder: str

    def find(self, key: str) -> Outcome | None:
        """Read the outcome of a key, None where there is none."""
        file = self._file(key)
        if not tf.io.gfile.exists(file):
            return None
        with tf.io.gfile.GFile(file) as stream:
            return Outcome(**json.loads(stream.read())["outcome"])

    def keep(self, key: str, outcome: Outcome, values: dict[str, Any]) -> None:
        """Write an outcome, whole or not at all, with the values beside it for a person who reads the folder."""
        tf.io.gfile.makedirs(self.folder)
        unfinished = f"{self._file(key)}.unfinished"
        with tf.io.gfile.GFile(unfinished, "w") as stream:
            stream.write(json.dumps({"values": values, "outcome": asdict(outcome)}, indent=1))
        tf.io.gfile.rename(unfinished, self._file(key), overwrite=True)

    def _file(self, key: str) -> str:
        return os.path.join(self.folder, f"{key}.json")


def trial_key(dataset: Dataset, config: RankerConfig) -> str:
    """Digest the settings and what training reads of the dataset file; data and code aren't in the key."""
    text = dataset.model_dump_json(exclude=_NOT_IN_TRAINING) + config.model_dump_json()
    return hashlib.sha256(text.encode()).hexdigest()[:20]
