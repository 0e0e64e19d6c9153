"""Check which of the champion's weights a new ranker starts from: by hand-worked arrays, and through the Trainer's
entry point on a changed shop.
"""

import logging
import logging.handlers
from types import SimpleNamespace

import numpy as np
import pytest

from components.champion.baseline import export_baseline
from components.contract.load import parse_dataset
from tests.trainer.conftest import serialize, transform, write
from trainer.config import ranker_config
from trainer.data.input_pipeline import batches
from trainer.fit.build import ranker
from trainer.model.network_inputs import layout
from trainer.run import run_fn
from trainer.warm_start.champion_weights import ChampionWeights, network_inputs, read_champion
from trainer.warm_start.variable_names import weights
from trainer.warm_start.warm_start import CarryOver, carried_weights, warm_start

ROWS = """
name: rows
events: {path: e.csv, columns: {label: y}}
actions: {click: {label: 1}}
candidates: {from: rows}
windows: {by: hash}
features: [{name: amount, kind: number, side: item, source: events}]
model: {epochs: 6, learning_rate: 0.001}
"""
WARM = "warm_start: true, warm_learning_rate: 1.0e-12"


def entry(*values: str) -> list[tuple[str, str]]:
    return [("entry", value) for value in values]


CHAMPION = ChampionWeights(
    weights={"tables/item": np.array([[0, 0], [1, 1], [2, 2], [0, 0]], np.float32), "dense/0/kernel": np.full((2, 1), 5, np.float32)},
    tensors={},
    keys={"tables/item": [("key", ""), *entry("a", "b"), ("key", "?0")]},
    inputs=["candidate item 2"],
    trained_until_us=100,
    split_seed=None,
)
DRAWN = {"tables/item": np.full((4, 2), 9, np.float32), "dense/0/kernel": np.full((2, 1), 8, np.float32)}


def test_rows_are_carried_by_key_and_new_or_untrained_ones_are_as_drawn() -> None:
    keys = {"tables/item": [*entry("new", "b", "a"), ("key", "?0")]}
    carried_values, carried = carried_weights(DRAWN, keys, CHAMPION.inputs, CHAMPION)
    assert carried_values["tables/item"].tolist() == [[9, 9], [2, 2], [1, 1], [9, 9]]
    assert carried_values["dense/0/kernel"].tolist() == [[5], [5]]
    assert carried == CarryOver(("tables/item", "dense/0/kernel"), (), {"tables/item": (2, 3)})


def test_a_kernel_of_another_shape_or_of_other_inputs_begins_anew() -> None:
    keys = {"tables/item": entry("a", "b", "c", "d")}
    wider = DRAWN | {"dense/0/kernel": np.zeros((3, 1), np.float32)}
    for drawn, inputs in ((wider, CHAMPION.inputs), (DRAWN, ["candidate brand 2"])):
        carried_values, carried = carried_weights(drawn, keys, inputs, CHAMPION)
        assert set(carried_values) == set(carried.carried) == {"tables/item"}
        assert carried.initialized == ("dense/0/kernel",)


def test_a_table_of_another_width_or_without_a_common_key_begins_anew() -> None:
    keys = {"tables/item": entry("x", "y", "z", "w")}
    carried_values, carried = carried_weights(DRAWN, keys, CHAMPION.inputs, CHAMPION)
    assert set(carried_values) == {"dense/0/kernel"}
    assert carried.entries == {"tables/item": (0, 4)}
    wider = {"tables/item": np.zeros((4, 3), np.float32)}
    assert carried_weights(wider, {"tables/item": entry("a", "b", "c", "d")}, CHAMPION.inputs, CHAMPION)[0] == {}


def test_a_line_summarizes_what_was_carried_over() -> None:
    taken = tuple(f"t{at}" for at in range(41))
    line = CarryOver(taken, ("a", "b", "c"), {"tables/item": (1204, 1310)}).line("release 3")
    assert line == "warm start from release 3: 41 of 44 tables and kernels; 1,204 of 1,310 keys of item; new: a, b, c"
    assert CarryOver((), tuple("abcdefg"), {}).line("r").endswith("new: a, b, c, d, e and 2 more")


def test_names_of_weights_are_the_same_in_every_model_of_a_process_and_cover_all_that_is_learnt(every_kind) -> None:
    config = ranker_config(every_kind.dataset)
    batch = next(iter(batches([every_kind.eval], every_kind.tft, dataset=every_kind.dataset, requests=4)))
    carried_values = []
    for _ in range(2):
        model = ranker(every_kind.tft, dataset=every_kind.dataset, config=config)
        model.compute_loss(batch)
        carried_values.append({name: tuple(variable.shape) for name, variable in weights(model).items()})
    assert carried_values[0] == carried_values[1]
    assert {"tables/item", "words/title", "buckets/candidate", "head/dense/0/0/kernel", "head/dense/0/1/moving_mean"} <= set(
        carried_values[0]
    )
    moving, calibration = 2 * len(config.dense), 3
    assert len(carried_values[0]) == len(model.trainable_variables) + moving + calibration


def run(shop, path, **options):
    files = {"train_files": [shop.train], "eval_files": [shop.eval], "transform_output": shop.graph, "serving_model_dir": str(path)}
    run_fn(SimpleNamespace(**files, custom_config={"dataset": options.pop("text", shop.text), "champion": "release 3"}, **options))
    return read_champion(str(path))


@pytest.fixture(scope="module")
def champion(every_kind, tmp_path_factory):
    folder = tmp_path_factory.mktemp("champion")
    return SimpleNamespace(folder=str(folder), exported=run(every_kind, folder, text=every_kind.text.replace("epochs: 6", "epochs: 1")))


@pytest.fixture(scope="module")
def later(every_kind, tmp_path_factory):
    """The shop later: half of its products and a brand have new names, from the first request on."""
    folder = tmp_path_factory.mktemp("later")
    renamed = {f"i{at}": f"new{at}" for at in range(6)} | {"b3": "new brand"}
    rows = [{name: [renamed.get(value, value) for value in values] for name, values in row.items()} for row in every_kind.rows]
    rows = [row | {"time": [row["time"][0] + 1000]} for row in rows]
    train, evaluate = (
        write(folder / split, [serialize(row) for row in some]) for split, some in (("train", rows[:192]), ("eval", rows[192:]))
    )
    text = every_kind.text.replace("epochs: 6, learning_rate: 0.001", WARM)
    assert WARM in text
    return SimpleNamespace(
        dataset=every_kind.dataset, text=text, train=train, eval=evaluate, rows=rows, graph=transform(text, train, folder)
    )


@pytest.fixture(scope="module")
def heirs(later, champion, tmp_path_factory):
    """Two equal runs that hardly learn, and their log."""
    messages = logging.handlers.BufferingHandler(1000)
    progress = logging.getLogger("shelfrank.progress")
    progress.addHandler(messages)
    progress.setLevel(logging.INFO)
    exported = [run(later, tmp_path_factory.mktemp("heir"), base_model=champion.folder) for _ in range(2)]
    progress.removeHandler(messages)
    return SimpleNamespace(exported=exported, messages=[record.getMessage() for record in messages.buffer])


@pytest.mark.slow
def test_an_heir_has_the_champions_weights_wherever_they_mean_the_same(heirs, champion, later) -> None:
    old, new = champion.exported, heirs.exported[0]
    assert new.inputs == old.inputs == network_inputs(layout(later.dataset))
    for name, value in new.weights.items():
        if name in new.keys:
            rows = dict(zip(old.keys[name], old.weights[name], strict=True))
            common = [(row, rows[key]) for key, row in zip(new.keys[name], value, strict=True) if key in rows and rows[key].any()]
            assert common, name
            assert all(row == pytest.approx(was, abs=1e-6) for row, was in common), name
        elif "moving" not in name and "calibration" not in name:  # these follow what the new windows look like
            assert value == pytest.approx(old.weights[name], abs=1e-6), name


@pytest.mark.slow
def test_the_same_champion_and_the_same_requests_give_the_same_bytes(heirs) -> None:
    first, second = (exported.weights for exported in heirs.exported)
    assert first.keys() == second.keys()
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


@pytest.mark.slow
def test_only_what_is_new_begins_anew_and_the_run_says_so(heirs, champion) -> None:
    line, _ = [message for message in heirs.messages if "warm start" in message]
    every = len(champion.exported.weights)
    assert line.startswith(f"warm start from release 3: {every} of {every} tables and kernels; ")
    assert "; 6 of 12 keys of item" in line
    assert "new:" not in line


def start(base_model, *, settings="warm_start: true", last_request_us, shop):
    dataset = parse_dataset(shop.text.replace("epochs: 6, learning_rate: 0.001", settings))
    config = ranker_config(dataset)
    return warm_start(base_model, "release 3", config=config, dataset=dataset, last_request_us=last_request_us)


def test_without_the_setting_the_champion_is_not_asked(every_kind) -> None:
    assert start("/nowhere", settings="epochs: 2", last_request_us=0, shop=every_kind).champion is None


def test_the_dull_baseline_leaves_nothing(every_kind, tmp_path, caplog) -> None:
    export_baseline(every_kind.dataset, str(tmp_path))
    with caplog.at_level(logging.INFO, "shelfrank.progress"):
        warm = start(str(tmp_path), last_request_us=5000, shop=every_kind)
    assert warm.champion is None
    assert "no warm start: the champion is no trained model" in caplog.text


def test_a_champion_that_may_know_the_answers_is_not_begun_with(every_kind, champion, caplog) -> None:
    until = champion.exported.trained_until_us
    assert start(champion.folder, last_request_us=until, shop=every_kind).champion is not None
    with caplog.at_level(logging.INFO, "shelfrank.progress"):
        assert start(champion.folder, last_request_us=until - 1, shop=every_kind).champion is None
    assert "it may know what it is judged by" in caplog.text


def test_a_champion_of_windows_by_another_hash_is_not_begun_with(champion, caplog) -> None:
    by_hash = SimpleNamespace(text=ROWS)
    with caplog.at_level(logging.INFO, "shelfrank.progress"):
        assert start(champion.folder, last_request_us=10**9, shop=by_hash).champion is None
    assert "split by another seed" in caplog.text


@pytest.mark.parametrize(
    ("settings", "last_request_us", "since_us"),
    [
        ("warm_start: true", 5_000_000, 1000),
        (
            "warm_start: true, warm_window: 2s",
            5_000_000,
            1000,
        ),  # the champion ended long before the window begins: nothing between is left out
        ("warm_start: true, warm_window: 2s", 2_000_100, 100),
    ],
)
def test_what_is_new_begins_where_the_champion_ended_or_with_the_window(every_kind, champion, settings, last_request_us, since_us) -> None:
    ended = champion.exported.trained_until_us
    assert 900 < ended < 1000
    warm = start(champion.folder, settings=settings, last_request_us=last_request_us, shop=every_kind)
    assert warm.since_us == (ended + 1 if since_us == 1000 else since_us)


def test_a_champion_without_propensities_is_not_begun_with_where_they_weigh_the_loss(every_kind, champion, caplog) -> None:
    config = ranker_config(every_kind.dataset).model_copy(update={"warm_start": True, "position_bias": "ips"})
    with caplog.at_level(logging.INFO, "shelfrank.progress"):
        warm = warm_start(champion.folder, "release 3", config=config, dataset=every_kind.dataset, last_request_us=5_000_000)
    assert warm.champion is None
    assert "no propensities" in caplog.text
