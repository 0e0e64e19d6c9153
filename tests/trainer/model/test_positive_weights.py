"""Check the weights of positives by amount, and the gains of evaluation."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from components.contract.errors import InputError
from components.contract.load import parse_dataset
from trainer.config import ranker_config
from trainer.data.input_pipeline import SHOWN_GAIN, Epochs, TrainingExamples, batches
from trainer.fit.build import build_ranker
from trainer.model.positive_weights import SHOWN_WEIGHT, amount_weights

PAID = [0.0, 10.0, 30.0, -5.0]


@pytest.fixture(scope="module")
def earning(every_kind, making, tmp_path_factory):
    """The shop with a revenue of each candidate, which counts for purchases; with the same Transform graph."""
    text = every_kind.text.replace("position: p}", "position: p, revenue: paid}").replace(
        "buy: {label: 3}", "buy: {label: 3, amount: revenue}"
    )
    rows = []
    for n, row in enumerate(every_kind.rows[:64]):
        size = len(row["label"])
        bought = [float((n + at) % 3 == 0) for at in range(size)]
        clicked = [float((n + at) % 2 == 0) for at in range(size)]
        either = [max(each) for each in zip(bought, clicked, strict=True)]
        paid = [PAID[(n + at) % 4] for at in range(size)]
        rows.append(row | {"label": either, "label_click": clicked, "label_buy": bought, "revenue": paid})
    pattern = making.write(tmp_path_factory.mktemp("earning"), [making.serialize(row) for row in rows])
    files = sorted(tf.io.gfile.glob(pattern))
    return SimpleNamespace(text=text, dataset=parse_dataset(text), rows=rows, files=files, tft=every_kind.tft)


def test_weights_are_amounts_over_their_mean_among_purchases(earning):
    bought = [max(paid, 0) for row in earning.rows for paid, buy in zip(row["revenue"], row["label_buy"], strict=True) if buy]
    weights = amount_weights(earning.files, earning.dataset, "revenue")
    assert (weights.amount, weights.labels) == ("revenue", ("label_buy",))
    assert weights.mean == pytest.approx(np.mean(bought))
    features, _ = next(iter(batches(earning.files, earning.tft, dataset=earning.dataset, requests=64)))
    epochs = Epochs(TrainingExamples(earning.files, weights=weights), earning.tft, dataset=earning.dataset, requests=64, seed=1)
    (batch,) = list(epochs.epoch(0))
    expected = sorted(
        [max(paid, 0) / np.mean(bought) if buy else 1.0 for paid, buy in zip(row["revenue"], row["label_buy"], strict=True)]
        for row in earning.rows
    )
    weighted = sorted(batch[0][SHOWN_WEIGHT].to_list())
    assert [len(each) for each in weighted] == [len(each) for each in expected]
    assert np.concatenate(weighted) == pytest.approx(np.concatenate(expected), rel=1e-6)
    assert SHOWN_WEIGHT not in features
    assert SHOWN_WEIGHT not in Epochs(TrainingExamples(earning.files), earning.tft, dataset=earning.dataset, requests=64, seed=1).sample[0]


def test_gains_are_weights_times_amounts_where_an_action_has_one(earning):
    features, _ = next(iter(batches(earning.files, earning.tft, dataset=earning.dataset, requests=64)))
    expected = [
        [max(click, 3 * buy * max(paid, 0)) for click, buy, paid in zip(row["label_click"], row["label_buy"], row["revenue"], strict=True)]
        for row in earning.rows
    ]
    assert features[SHOWN_GAIN].to_list() == expected


@pytest.mark.parametrize("positive_weight", [1, 4])
def test_the_loss_is_the_weighted_mean_of_the_candidates(earning, positive_weight):
    weights = amount_weights(earning.files, earning.dataset, "revenue")
    epochs = Epochs(TrainingExamples(earning.files, weights=weights), earning.tft, dataset=earning.dataset, requests=64, seed=1)
    settings = {"weight_by": "revenue", "positive_weight": positive_weight}
    config = ranker_config(earning.dataset, settings)
    tf.keras.utils.set_random_seed(1)
    model = build_ranker(earning.tft, earning.dataset, config, sample=epochs.sample, precision="float32")
    (batch,) = list(epochs.epoch(0))
    features, labels = batch
    logits, label = model(features, training=False).numpy()[:, :, 0], labels.flat_values.numpy()[:, None]
    each = np.logaddexp(0, logits) - label * logits
    weight = features[SHOWN_WEIGHT].flat_values.numpy()[:, None] * (1 + (positive_weight - 1) * label)
    assert float(model.compute_loss(batch)) == pytest.approx((weight * each).mean(), rel=1e-5)
    assert (weight * each).mean() != pytest.approx(each.mean(), rel=1e-3)  # it matters


def test_without_any_amount_there_is_nothing_to_weigh_by(earning, making, tmp_path):
    nothing = [row | {"revenue": [0.0] * len(row["label"])} for row in earning.rows]
    pattern = making.write(tmp_path, [making.serialize(row) for row in nothing])
    with pytest.raises(
        InputError, match=r"model.weight_by: expected positives with a revenue above 0 .* does the role 'revenue' name the right"
    ):
        amount_weights(sorted(tf.io.gfile.glob(pattern)), earning.dataset, "revenue")
