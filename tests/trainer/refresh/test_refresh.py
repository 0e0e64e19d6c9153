"""Check a refresh on the shop of every kind of feature: the built version is the trained model, and what it refuses."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from components.contract.errors import InputError
from components.contract.load import parse_dataset
from tests.trainer.conftest import serialize, write
from trainer.config import ranker_config
from trainer.export.files import TRANSFORM_GRAPH
from trainer.export.saved_model import export
from trainer.refresh import refresh as refreshing
from trainer.refresh.held_out import compare
from trainer.refresh.refresh import HELD_OUT, refresh
from trainer.refresh.weight_delta import apply_delta, weight_delta
from trainer.run import run_fn
from trainer.warm_start.champion_weights import FILE, read_champion, write_trained_until

pytestmark = pytest.mark.slow  # two trainings and three exports


@pytest.fixture(scope="module")
def refreshed(every_kind, tmp_path_factory):
    """A release of the first half of the requests, refreshed on the rest; and the model as training left it."""
    folder = tmp_path_factory.mktemp("refresh")
    rows = sorted(every_kind.rows, key=lambda row: row["time"][0])
    half = len(rows) // 2
    early, late = (write(folder / name, [serialize(row) for row in some]) for name, some in (("early", rows[:half]), ("late", rows[half:])))
    base = folder / "base"
    files = {"train_files": [early], "eval_files": [early], "transform_output": every_kind.graph, "serving_model_dir": str(base)}
    text = every_kind.text.replace("epochs: 6", "epochs: 1, warm_epochs: 3, warm_learning_rate: 0.01")
    run_fn(SimpleNamespace(**files, custom_config={"dataset": text}))
    trained, train = [], refreshing.train

    def kept(*args, **options):
        trained.append(train(*args, **options)[0])
        return trained[-1], []

    refreshing.train = kept
    try:
        made = refresh(
            str(base), [early, late], str(folder / "work"), dataset=every_kind.dataset, config=ranker_config(parse_dataset(text))
        )
    finally:
        refreshing.train = train
    apply_delta(base, made.delta, folder / "built")
    return SimpleNamespace(
        base=base, made=made, built=folder / "built", model=trained[0], rows=rows, late=rows[half:], folder=folder, early=early, text=text
    )


def scores(folder, rows):
    return tf.saved_model.load(str(folder)).signatures["examples"](tf.constant([serialize(row) for row in rows]))["scores"].numpy()


def test_the_built_version_scores_as_an_export_of_the_trained_model_does(every_kind, refreshed, tmp_path) -> None:
    export(refreshed.model, tft.TFTransformOutput(str(refreshed.base / TRANSFORM_GRAPH)), str(tmp_path), dataset=every_kind.dataset)
    some = refreshed.rows[-40:]
    assert scores(refreshed.built, some) == pytest.approx(scores(tmp_path, some), abs=1e-6)
    assert np.abs(scores(refreshed.built, some) - scores(refreshed.base, some)).max() > 1e-3


def test_no_weight_learns_from_the_requests_held_out_which_are_new_ones(refreshed) -> None:
    held_out = set(tf.data.TFRecordDataset(refreshed.made.held_out).as_numpy_iterator())
    assert refreshed.made.new_requests == len(refreshed.late)
    assert len(held_out) == round(HELD_OUT * len(refreshed.late))
    assert held_out <= {serialize(row) for row in refreshed.late}
    training = set(tf.data.TFRecordDataset(str(refreshed.folder / "work" / "train" / "requests.tfrecord")).as_numpy_iterator())
    assert not training & held_out


def test_calibration_and_vocabularies_stay_and_the_training_window_moves(refreshed) -> None:
    old = read_champion(str(refreshed.base))
    write_trained_until(str(refreshed.built), refreshed.made.delta.notes["trained_until_us"])
    new = read_champion(str(refreshed.built))
    assert new.keys == old.keys
    assert new.trained_until_us == refreshed.late[-1]["time"][0] > old.trained_until_us
    for name, value in new.weights.items():
        if name.startswith("calibration/"):
            assert value.tolist() == old.weights[name].tolist()
    changed = [name for name, value in new.weights.items() if not np.array_equal(value, old.weights[name])]
    assert {"tables/item", "head/dense/0/0/kernel"} <= set(changed)


def test_a_model_is_no_worse_than_itself_and_a_spoilt_one_is(every_kind, refreshed, tmp_path) -> None:
    every = [str(Path(refreshed.early).parent / "*")]
    files = tf.io.gfile.glob(every[0])
    same = compare(str(refreshed.base), str(refreshed.base), files, dataset=every_kind.dataset)
    assert (same.refreshed - same.base, same.worse) == (0, False)
    champion = read_champion(str(refreshed.base))
    spoilt = {champion.tensors[name]: -value for name, value in champion.weights.items() if name == "calibration/slope"}
    apply_delta(refreshed.base, weight_delta(refreshed.base, spoilt, {}), tmp_path / "spoilt")
    worse = compare(str(refreshed.base), str(tmp_path / "spoilt"), files, dataset=every_kind.dataset)
    assert worse.refreshed < 0.5 < worse.base
    assert worse.worse
    assert f"{worse.refreshed - worse.base:+.4f} against the base" in worse.sentence


def test_a_release_without_its_transform_graph_or_without_new_requests_is_refused(every_kind, refreshed, tmp_path) -> None:
    config = ranker_config(parse_dataset(refreshed.text))
    with pytest.raises(InputError, match="expected at least 100 requests"):
        refresh(str(refreshed.base), [refreshed.early], str(tmp_path), dataset=every_kind.dataset, config=config)
    (tmp_path / "assets.extra").mkdir()
    with pytest.raises(InputError, match="expected a trained release with its Transform graph"):
        refresh(str(tmp_path), [refreshed.early], str(tmp_path), dataset=every_kind.dataset, config=config)
    assert json.loads((refreshed.base / FILE).read_text())["trained_until_us"] == refreshed.rows[len(refreshed.rows) // 2 - 1]["time"][0]
