"""Check the search over a known score, without training."""

import logging
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras_tuner
import pytest

from components.contract.errors import InputError, RunError
from components.contract.load import parse_dataset
from tests.bare_dataset import BARE
from trainer.config import RankerConfig, ranker_config
from trainer.tuning.search import Search
from trainer.tuning.trial_journal import Journal, trial_key
from trainer.tuning.trials import best_first

sys.path.insert(0, str(Path(__file__).parent))
from killed_search import score

pytestmark = [
    # KerasTuner asks for the thread's name in a way that Python 3.10 renamed.
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning"),
    # Of a Gaussian process over few trials; the search takes what it finds.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

SHOP = BARE + "model: {learning_rate: 0.002, attention: dot}\n"
SPACE = """
  space:
    learning_rate: {min: 5.0e-4, max: 8.0e-3, scale: log}
    dropout: {min: 0, max: 0.8}
    attention: [unit, dot]
    batch_requests: {min: 16, max: 64, scale: log}
"""


def text(trials: int = 9, algorithm: str = "bayesian", seed: int = 0, space: str = SPACE) -> str:
    return f"{SHOP}tuning:\n  trials: {trials}\n  algorithm: {algorithm}\n  seed: {seed}\n{space}"


def searched(folder: Path, dataset: str, by: Callable[[RankerConfig], tuple[float, int]] = score) -> Search:
    search = Search(parse_dataset(dataset), score=by, journal=Journal(str(folder / "trials")), directory=str(folder / "work"))
    search.search()
    return search


def values(search: Search) -> list[dict[str, object]]:
    return [trial.values for trial in search.trials]


class Counted:
    """Count the calls of a known score; raise `fault` for bad settings."""

    def __init__(self, fault: Callable[[RankerConfig], Exception | None] = lambda config: None) -> None:
        self.configs: list[RankerConfig] = []
        self._fault = fault

    def __call__(self, config: RankerConfig) -> tuple[float, int]:
        self.configs.append(config)
        if fault := self._fault(config):
            raise fault
        return score(config)


@pytest.mark.parametrize("algorithm", ["bayesian", "random"])
def test_the_first_trial_has_the_files_values_and_all_have_values_of_the_space(tmp_path: Path, algorithm: str) -> None:
    trials = searched(tmp_path, text(8, algorithm)).trials
    assert trials[0].values == {"learning_rate": 0.002, "dropout": 0.2, "attention": "dot", "batch_requests": 64}
    assert [trial.number for trial in trials] == list(range(1, 9))
    assert len({tuple(trial.values.values()) for trial in trials}) == 8
    for trial in trials:
        assert 5e-4 <= trial.values["learning_rate"] <= 8e-3
        assert 0 <= trial.values["dropout"] <= 0.8
        assert trial.values["batch_requests"] in range(16, 65)
        assert trial.outcome.score == score(ranker_config(parse_dataset(SHOP), trial.values))[0]


def test_guided_trials_come_nearer_to_the_best_than_drawn_ones(tmp_path: Path) -> None:
    space = "  space: {dropout: {min: 0, max: 0.9}, learning_rate: {min: 5.0e-4, max: 8.0e-3, scale: log}}"

    def mean(algorithm: str, seed: int) -> float:
        trials = searched(tmp_path / f"{algorithm}{seed}", text(9, algorithm, seed, space)).trials[3:]  # from the first that is guided
        return sum(trial.outcome.score or 0.0 for trial in trials) / len(trials)

    guided, drawn = ([mean(algorithm, seed) for seed in (0, 2)] for algorithm in ("bayesian", "random"))
    assert sum(guided) > sum(drawn) + 0.05


def test_a_grid_tries_every_combination_once(tmp_path: Path) -> None:
    space = "  space: {dropout: {min: 0.1, max: 0.3, step: 0.1}, attention: [unit, dot], dense: [[8], [8, 4]]}"
    trials = searched(tmp_path, text(20, "grid", space=space)).trials
    tried = {(trial.values["dropout"], trial.values["attention"], tuple(trial.values["dense"])) for trial in trials}
    assert tried == {
        (dropout, attention, dense) for dropout in (0.1, 0.2, 0.3) for attention in ("unit", "dot") for dense in ((8,), (8, 4))
    }
    assert len(trials) == 12


@pytest.mark.parametrize("algorithm", ["bayesian", "random"])
def test_a_small_space_is_tried_whole_and_no_combination_twice(tmp_path: Path, algorithm: str) -> None:
    counted = Counted()
    search = searched(tmp_path, text(20, algorithm, space="  space: {attention: [unit, dot], cross_layers: [0, 1]}"), counted)
    assert len(counted.configs) == len(search.trials) == 4


@pytest.mark.parametrize("algorithm", ["bayesian", "random"])
def test_the_same_seed_tries_the_same_values_and_another_seed_others(tmp_path: Path, algorithm: str) -> None:
    first, again, other = (searched(tmp_path / name, text(7, algorithm, seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert values(first) == values(again)
    assert all(one != two for one, two in zip(values(first)[1:], values(other)[1:], strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("killed_in", [1, 3, 7])
def test_a_search_that_is_killed_keeps_its_finished_trials_and_ends_as_one_that_was_not(tmp_path: Path, killed_in: int) -> None:
    undisturbed = searched(tmp_path / "undisturbed", text(8))
    process = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killed_search.py")), str(tmp_path), text(8), str(killed_in)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        capture_output=True,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    counted = Counted()
    resumed = searched(tmp_path, text(8), counted)
    assert [trial.kept for trial in resumed.trials] == [number < killed_in for number in range(1, 9)]
    assert len(counted.configs) == 8 - (killed_in - 1)
    assert values(resumed) == values(undisturbed)
    assert resumed.get_best_hyperparameters()[0].values == undisturbed.get_best_hyperparameters()[0].values


def test_a_search_with_more_trials_goes_on_where_a_shorter_one_ended(tmp_path: Path) -> None:
    searched(tmp_path, text(5))
    counted = Counted()
    longer = searched(tmp_path, text(7), counted)
    assert len(counted.configs) == 2
    assert values(longer) == values(searched(tmp_path / "at_once", text(7)))


def test_what_training_does_not_read_keeps_the_trials_and_what_it_reads_does_not() -> None:
    dataset, config = parse_dataset(text()), RankerConfig()
    key = trial_key(dataset, config)
    assert trial_key(parse_dataset(text(20, "random", 5) + "gates: {min_shoppers: 25}\n"), config) == key
    assert trial_key(parse_dataset(text() + "seed: 5\n"), config) != key
    assert trial_key(parse_dataset(text().replace("amount", "price")), config) != key
    assert trial_key(dataset, RankerConfig(epochs=3)) != key


def diverging(config: RankerConfig) -> Exception | None:
    return RunError("expected a finite loss, got nan") if config.dropout > 0.3 else None


def test_a_trial_that_fails_is_counted_and_shown_and_the_search_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "shelfrank.progress"):
        search = searched(tmp_path, text(9, "random"), Counted(diverging))
    failed = [trial for trial in search.trials if trial.values["dropout"] > 0.3]
    assert 0 < len(failed) < 9
    assert [trial for trial in search.trials if trial.outcome.score is None] == failed
    assert best_first(search.trials)[-len(failed) :] == failed
    messages = [record.getMessage() for record in caplog.records]
    assert sum("failed: expected a finite loss, got nan" in line for line in messages) == len(failed)
    assert messages[-1].startswith(f"best of 9 trials, {len(failed)} of them failed: trial ")
    assert search.get_best_hyperparameters()[0].values["dropout"] <= 0.3


def test_a_loss_that_is_no_number_stays_so_and_any_other_failure_is_tried_again(tmp_path: Path) -> None:
    again = Counted(diverging)
    searched(tmp_path / "diverged", text(9, "random"), Counted(diverging))
    searched(tmp_path / "diverged", text(9, "random"), again)
    assert again.configs == []
    full, now = Counted(lambda config: OSError("no space left") if config.dropout > 0.3 else None), Counted()
    broken = searched(tmp_path / "full", text(9, "random"), full)
    assert {trial.outcome.fault for trial in broken.trials} == {"", "OSError: no space left"}
    searched(tmp_path / "full", text(9, "random"), now)
    assert [config.dropout > 0.3 for config in now.configs] == [True] * sum(trial.outcome.score is None for trial in broken.trials)


def test_a_score_that_is_no_number_is_a_failed_trial(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"all 2 failed, the first with .*: expected a number for auc in the eval window, got nan"):
        searched(tmp_path, text(2), lambda config: (math.nan, 1))


def test_when_all_trials_fail_the_error_says_why_and_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(
        RunError, match=r"all 4 failed, the first with learning_rate 0.002 .*: ValueError: odd; look at `model` and `tuning`"
    ):
        searched(tmp_path, text(4), Counted(lambda config: ValueError("odd")))


def test_a_fault_of_the_data_ends_the_search_at_once(tmp_path: Path) -> None:
    counted = Counted(lambda config: InputError("expected requests, found none"))
    with pytest.raises(keras_tuner.errors.FatalError) as caught:
        searched(tmp_path, text(4), counted)
    assert isinstance(caught.value.__cause__, InputError)
    assert len(counted.configs) == 1


def test_each_trial_is_told_at_its_start_and_its_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "shelfrank.progress"):
        searched(tmp_path, text(2))
        searched(tmp_path, text(2))
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0] == "trial 1 of 2  learning_rate 0.002  dropout 0.2  attention dot  batch_requests 64"
    assert messages[1] == "trial 1 of 2  eval AUC 0.7780, the best so far  (1 epochs in 0 s)"
    assert len(messages) == 10
    assert messages[6].endswith("(kept from an earlier run)")
