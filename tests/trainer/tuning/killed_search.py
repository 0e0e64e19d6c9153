"""Run a search that is killed in the middle of a trial, as a process of its own.

python killed_search.py FOLDER DATASET KILLED_IN_TRIAL
"""

import os
import signal
import sys
from pathlib import Path

from components.contract.load import parse_dataset
from trainer.config import RankerConfig
from trainer.tuning.search import Search
from trainer.tuning.trial_journal import Journal


def score(config: RankerConfig) -> tuple[float, int]:
    """Return a score with its maximum at dropout 0.3 and a learning rate of 0.004."""
    return 0.8 - (config.dropout - 0.3) ** 2 - abs(config.learning_rate - 0.004) - 0.01 * (config.attention == "dot"), 1


def main() -> None:
    folder, dataset, killed_in = sys.argv[1:]
    trained = 0

    def killed(config: RankerConfig) -> tuple[float, int]:
        nonlocal trained
        trained += 1
        if trained == int(killed_in):
            os.kill(os.getpid(), signal.SIGKILL)
        return score(config)

    Search(parse_dataset(dataset), score=killed, journal=Journal(f"{folder}/trials"), directory=str(Path(folder, "work"))).search()


if __name__ == "__main__":
    main()
