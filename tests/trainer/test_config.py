import pytest

from components.contract.errors import DatasetFileError, InputError
from components.contract.load import parse_dataset
from tests.bare_dataset import BARE
from trainer.config import ranker_config, started, warmed


def test_settings_come_from_the_dataset_file_and_the_rest_are_defaults():
    config = ranker_config(parse_dataset(BARE + "model: {epochs: 3, dense: [8]}"))
    assert (config.epochs, config.dense, config.batch_requests) == (3, (8,), 128)


def test_an_unknown_setting_names_the_closest():
    with pytest.raises(DatasetFileError, match=r"model.learning_rat: unknown key 'learning_rat'; did you mean 'learning_rate'\?"):
        ranker_config(parse_dataset(BARE + "model: {learning_rat: 1}"))


def test_an_impossible_value_names_its_setting():
    with pytest.raises(DatasetFileError, match=r"model.dropout: .*less than 1"):
        ranker_config(parse_dataset(BARE + "model: {dropout: 1.5}"))


@pytest.mark.parametrize("value", ["true", "pal"])
def test_position_bias_is_one_of_its_kinds(value):
    with pytest.raises(DatasetFileError, match=r"model.position_bias: .*'none', 'examination' or 'ips'"):
        ranker_config(parse_dataset(BARE + f"model: {{position_bias: {value}}}"))


SHOWN = """
name: shown
events: {path: e.csv, columns: {time: t, user: u, item: i, action: a, request: r, position: p}}
actions: {view: {}, click: {label: 1}}
candidates: {from: impressions, action: view}
features: [{name: position, kind: number, side: item}]
"""


def test_the_position_can_not_be_a_feature_and_be_corrected_for():
    assert ranker_config(parse_dataset(SHOWN)).position_bias == "none"
    with pytest.raises(DatasetFileError, match="expected no feature `position` beside 'ips'"):
        ranker_config(parse_dataset(SHOWN + "model: {position_bias: ips}"))


AMOUNTS = (
    SHOWN.replace("position: p}", "position: p, revenue: paid}")
    .replace("name: position", "name: page")
    .replace("side: item", "side: context")
)


def test_weights_go_by_a_role_that_there_is():
    assert ranker_config(parse_dataset(AMOUNTS + "model: {weight_by: revenue}")).weight_by == "revenue"
    with pytest.raises(DatasetFileError, match=r"model.weight_by: expected a role .* got 'margin'; named are revenue"):
        ranker_config(parse_dataset(AMOUNTS + "model: {weight_by: margin}"))
    with pytest.raises(DatasetFileError, match=r"model.weight_by: expected none beside `position_bias: ips`"):
        ranker_config(parse_dataset(AMOUNTS + "model: {weight_by: revenue, position_bias: ips}"))


def test_a_warm_start_has_a_rate_and_epochs_of_its_own_and_no_trees():
    config = ranker_config(
        parse_dataset(BARE + "model: {distillation: 0.5, learning_rate: 0.01, warm_learning_rate: 0.001, warm_epochs: 2}")
    )
    warm = warmed(config)
    assert (warm.learning_rate, warm.epochs, warm.distillation) == (0.001, 2, 0)
    assert warmed(warm) == warm


def test_a_run_says_itself_what_training_starts_from():
    warm = ranker_config(parse_dataset(BARE + "model: {warm_start: true, warm_window: 7d, epochs: 3}"))
    assert started(warm, "") == warm
    full = started(warm, "full")
    assert (full.warm_start, full.warm_window, full.epochs) == (False, 7 * 86400, 3)
    assert started(full, "warm").warm_start
    with pytest.raises(InputError, match="training_start: expected warm, full or nothing, got 'hot'"):
        started(warm, "hot")
