import pytest

from components.contract.dataset import Dataset
from components.contract.errors import DatasetFileError
from components.contract.load import parse_dataset
from components.contract.tuning import Range, Tuning
from tests.bare_dataset import BARE


def read(tuning: str) -> Dataset:
    return parse_dataset(f"{BARE}tuning: {tuning}\n", "shop.yaml")


def test_without_the_part_there_is_no_search_and_with_a_count_alone_a_bayesian_one() -> None:
    assert parse_dataset(BARE).tuning is None
    assert read("{trials: 4}").tuning == Tuning(trials=4, algorithm="bayesian", objective="auc", seed=None, space={}, trial={})


def test_a_setting_has_choices_or_a_range() -> None:
    tuning = read("{space: {dense: [[8], [8, 4]], dropout: {min: 0, max: 0.5}}}").tuning
    assert tuning is not None
    assert tuning.space == {"dense": ([8], [8, 4]), "dropout": Range(min=0, max=0.5)}


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ({"min": 0, "max": 0.3, "step": 0.1}, (0, 0.1, 0.2, 0.3)),
        ({"min": 0, "max": 0.35, "step": 0.1}, (0, 0.1, 0.2, 0.3)),
        ({"min": 32, "max": 256, "step": 2, "scale": "log"}, (32, 64, 128, 256)),
        ({"min": 1e-4, "max": 1e-2, "step": 10, "scale": "log"}, (1e-4, 1e-3, 1e-2)),
        ({"min": 0, "max": 1}, None),
    ],
)
def test_steps_run_from_the_least_value_to_the_greatest(given, values) -> None:
    assert Range(**given).stepped == values


@pytest.mark.parametrize(
    ("tuning", "told"),
    [
        ("{trails: 4}", "tuning.trails: unknown key 'trails'; did you mean 'trials'?"),
        ("{trials: 0}", "tuning.trials: expected a value of at least 1, got 0"),
        ("{algorithm: bayes}", "tuning.algorithm: expected 'bayesian', 'random' or 'grid', got 'bayes'"),
        ("{objective: ndcg}", "tuning.objective: expected 'auc', got 'ndcg'"),
        ("{space: {dropout: 0.1}}", "tuning.space.dropout: expected choices such as [1, 2], or a range such as {min: 1, max: 2}, got 0.1"),
        ("{space: {dropout: [0.1]}}", "tuning.space.dropout: expected 2 entries or more, got [0.1]"),
        ("{space: {dropout: {min: 0, maxi: 1}}}", "tuning.space.dropout.maxi: unknown key 'maxi'; did you mean 'max'?"),
        ("{space: {dropout: {min: 0}}}", "tuning.space.dropout: `max` is missing"),
        ("{space: {dropout: {min: 1, max: 0}}}", "tuning.space.dropout: expected min < max, got 1 and 0"),
        ("{space: {l2: {min: 0, max: 1, scale: log}}}", "tuning.space.l2: the scale log needs a `min` above 0, got 0"),
        ("{space: {l2: {min: 1, max: 2, scale: log, step: 1}}}", "tuning.space.l2: on the scale log expected a `step` above 1, got 1"),
        ("{space: {l2: {min: 1, max: 2, step: 0}}}", "tuning.space.l2: on the scale linear expected a `step` above 0, got 0"),
        (
            "{space: {l2: {min: 0, max: 1, step: 1.0e-9}}}",
            "tuning.space.l2: more than 1,000 steps from 0 to 1; widen `step`, or leave it out",
        ),
    ],
)
def test_a_fault_is_told_with_its_line_and_a_remedy(tuning: str, told: str) -> None:
    with pytest.raises(DatasetFileError) as caught:
        read(tuning)
    assert str(caught.value) == f"shop.yaml, line 8: {told}"
