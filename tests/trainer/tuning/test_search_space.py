import re
from pathlib import Path

import pytest

from components.contract.dataset import Dataset
from components.contract.errors import DatasetFileError
from components.contract.load import parse_dataset
from tests.bare_dataset import BARE
from trainer.config import RankerConfig
from trainer.tuning.search_space import (
    DEFAULT_SPACE,
    Choices,
    Interval,
    check_settings,
    decoded,
    encoded,
    own_values,
    search_space,
    trial_config,
    tuned,
)


def shop(tuning: str, model: str = "{}") -> Dataset:
    return parse_dataset(f"{BARE}model: {model}\ntuning: {tuning}\n")


def test_a_space_holds_values_as_the_settings_do() -> None:
    space = search_space(
        shop(
            "{space: {dense: [[8], [8, 4]], learning_rate: [4e-3, 1e-3], attention: [unit, dot],"
            " batch_requests: {min: 32, max: 64, scale: log}, dropout: {min: 0, max: 0.2, step: 0.1},"
            " l2: {min: 0, max: 1}, max_impressions: {min: 10, max: 20, step: 10}}}"
        )
    )
    assert space == {
        "dense": Choices(((8,), (8, 4))),
        "learning_rate": Choices((0.001, 0.004)),  # text in YAML 1.1, as it has no point; and in order
        "attention": Choices(("unit", "dot")),
        "batch_requests": Interval(32, 64, log=True, whole=True),
        "dropout": Choices((0.0, 0.1, 0.2)),
        "l2": Interval(0.0, 1.0, log=False, whole=False),
        "max_impressions": Choices((10, 20)),
    }
    assert isinstance(space["batch_requests"].low, int)


def test_without_a_space_the_settings_that_matter_most_are_tried_but_those_that_a_trial_fixes() -> None:
    assert set(search_space(shop("{trials: 4}"))) == set(DEFAULT_SPACE)
    assert set(search_space(shop("{trial: {dropout: 0.1}}"))) == set(DEFAULT_SPACE) - {"dropout"}


def test_the_default_space_holds_the_default_settings() -> None:
    dataset = shop("{trials: 4}")
    own = own_values(dataset, search_space(dataset))
    assert own == {name: getattr(RankerConfig(), name) for name in DEFAULT_SPACE}


def test_the_files_own_values_are_moved_into_the_space() -> None:
    dataset = shop(
        "{space: {dropout: {min: 0.3, max: 0.5}, l2: {min: 0, max: 1.0e-6}, dense: [[8], [4]], epochs: [3, 9],"
        " max_impressions: {min: 5, max: 9}}}",
        "{epochs: 9}",
    )
    own = own_values(dataset, search_space(dataset))
    assert own == {"dropout": 0.3, "l2": 1e-6, "dense": (8,), "epochs": 9, "max_impressions": 5}


def test_a_trial_has_the_files_settings_then_those_of_trials_then_the_values_tried() -> None:
    dataset = shop("{trial: {epochs: 2, l2: 0.5}, space: {dropout: [0.1, 0.3]}}", "{epochs: 9, l2: 0.1, dropout: 0.4, cross_layers: 1}")
    config = trial_config(dataset, {"dropout": 0.3})
    assert (config.epochs, config.l2, config.dropout, config.cross_layers) == (2, 0.5, 0.3, 1)


@pytest.mark.parametrize("value", [0.25, 7, True, None, "dot", "1", (8, 4)])
def test_a_value_survives_the_tuner(value: object) -> None:
    held = encoded(value)
    assert isinstance(held, int | float | str)
    back = decoded({"setting": held})["setting"]
    assert (tuple(back) if isinstance(back, list) else back) == value
    assert tuned({"space": [], "values": {"setting": held}}) == {"setting": back}


def test_a_trainer_without_tuner_has_the_files_settings() -> None:
    assert tuned(None) == {}


@pytest.mark.parametrize(
    ("tuning", "expected"),
    [
        ("{space: {droput: [0, 1]}}", "tuning.space.droput: unknown setting; did you mean 'dropout'?"),
        ("{trial: {epoch: 1}}", "tuning.trial.epoch: unknown setting; did you mean 'epochs'?"),
        ("{trial: {epochs: 0}}", "tuning.trial.epochs: expected a value of at least 1, got 0"),
        ("{trial: {epochs: 2}, space: {epochs: [1, 2]}}", "tuning.space.epochs: stands in `tuning.trial` as well; keep one"),
        ("{space: {dropout: [0.5, 1.5]}}", "tuning.space.dropout: expected a value less than 1, got 1.5"),
        ("{space: {dropout: {min: 0, max: 1}}}", "tuning.space.dropout: expected a value less than 1, got 1.0"),
        ("{space: {dense: {min: 1, max: 2}}}", "tuning.space.dense: is no number and has no range; expected choices, a list of values"),
        ("{space: {position_bias: {min: 0, max: 1}}}", "tuning.space.position_bias: is no number"),
        ("{space: {epochs: {min: 1.5, max: 3}}}", "tuning.space.epochs: expected a whole number"),
        ("{space: {epochs: [3, 3.0]}}", "tuning.space.epochs: the value 3 stands twice; keep one"),
        ("{algorithm: grid}", "tuning.space.learning_rate: the algorithm grid needs choices, or a range with a `step`"),
        (
            "{algorithm: grid, trials: 5, space: {epochs: [1, 2], dropout: {min: 0, max: 0.2, step: 0.1}}}",
            "tuning.trials: the grid has 6 combinations and `trials` is 5; raise it",
        ),
    ],
)
def test_a_fault_names_the_setting_and_a_remedy(tuning: str, expected: str) -> None:
    with pytest.raises(DatasetFileError) as caught:
        check_settings(shop(tuning))
    assert str(caught.value).startswith(expected)


def test_a_fault_of_the_model_itself_is_found_with_and_without_a_search() -> None:
    for dataset in (shop("{trials: 2}", "{epochs: 0}"), parse_dataset(BARE + "model: {epochs: 0}")):
        with pytest.raises(DatasetFileError, match=r"^model\.epochs"):
            check_settings(dataset)


def test_the_searches_and_the_fault_of_the_page_are_real() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "how-to" / "tuning.md").read_text()
    (small,) = re.findall(r"^    (tuning: \{.*\})$", page, re.MULTILINE)
    (whole,) = re.findall(r"<<END\n(.*?)END\n", page, re.DOTALL)
    check_settings(parse_dataset(BARE + small))
    assert set(search_space(parse_dataset(BARE + whole))) == {"learning_rate", "dropout", "dense"}
    (fault,) = re.findall(r"^    (tuning\.space\..*)$", page, re.MULTILINE)
    with pytest.raises(DatasetFileError) as caught:
        check_settings(shop("{space: {droput: [0, 0.1]}}"))
    assert str(caught.value) == fault
