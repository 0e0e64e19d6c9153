"""Check debiased rankers on a planted shop whose log shows popular items on top, whatever their attraction."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras
from scipy.stats import spearmanr

from components.contract.columns import input_columns
from components.contract.load import parse_dataset
from components.schema.parsing import parse
from trainer.config import ranker_config
from trainer.fit.training import train
from trainer.model.position_bias import curve

PLANTED = """
name: planted
seed: 1
events: {path: e.csv, columns: {time: t, user: u, item: i, action: a, request: r, position: p}}
actions: {view: {}, click: {label: 1}}
candidates: {from: impressions, action: view}
features: [{name: item, kind: id, side: item, vocabulary: 50, dim: 8}]
model: {batch_requests: 32, epochs: 6, patience: 6, dense: [16], cross_layers: 0, embedding_dropout: 0, learning_rate: 0.004}
"""
ITEMS, REQUESTS, PLACES = 40, 2_400, 8
EXAMINATION = 1 / (1 + np.arange(PLACES))


@pytest.fixture(scope="module")
def world(making, tmp_path_factory):
    """Draw items at random, order them by popularity with a little noise, and click only on examined ones."""
    random = np.random.default_rng(0)
    relevance, popularity = random.uniform(0.1, 0.9, ITEMS), random.normal(size=ITEMS)
    serialized = []
    for number in range(REQUESTS):
        drawn = random.choice(ITEMS, PLACES, replace=False)
        shown = drawn[np.argsort(-popularity[drawn] - 0.3 * random.normal(size=PLACES))]
        clicked = random.random(PLACES) < EXAMINATION * relevance[shown]
        columns = {"item": [f"i{item}" for item in shown], "position": list(range(PLACES))}
        request = {"request": [f"r{number}"], "user": [f"u{number}"], "time": [number], "interactions": [0]}
        serialized.append(making.serialize(request | columns | {"label": clicked.astype(float).tolist()}))
    folder = tmp_path_factory.mktemp("planted")
    files = {
        split: making.write(folder / f"Split-{split}", part) for split, part in (("train", serialized[400:]), ("eval", serialized[:400]))
    }
    graph = making.transform(PLANTED, files["train"], folder)
    return SimpleNamespace(relevance=relevance, serialized=serialized, graph=tft.TFTransformOutput(graph), **files)


@pytest.fixture(scope="module")
def trained(world):
    """Train a ranker by setting."""

    def of(kind):
        dataset = parse_dataset(PLANTED.replace("model: {", f"model: {{position_bias: {kind}, "))
        keras.utils.set_random_seed(1)
        model, _ = train([world.train], [world.eval], world.graph, dataset=dataset, config=ranker_config(dataset))
        return model

    return {kind: of(kind) for kind in ("none", "examination", "ips")}


def scores(model, world):
    """Return the score of each item [ITEMS], from the requests in which it is first."""
    dataset = parse_dataset(PLANTED)
    estimates = np.full(ITEMS, np.nan)
    layer = world.graph.transform_features_layer()
    features = parse(tf.constant(world.serialized), input_columns(dataset))
    items = features["item"].flat_values.numpy()
    logits = model.logits(layer(features)).numpy()
    for item in range(ITEMS):
        (of_item,) = np.where(items == f"i{item}".encode())
        estimates[item] = logits[of_item[0]]
    return estimates


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["examination", "ips"])
def test_a_debiased_ranker_orders_by_relevance_where_a_naive_one_orders_by_what_was_shown_high(trained, world, kind):
    naive, debiased = (spearmanr(scores(trained[each], world), world.relevance).statistic for each in ("none", kind))
    assert debiased > 0.9
    assert debiased > naive + 0.15


@pytest.mark.parametrize("kind", ["examination", "ips"])
def test_what_is_found_of_the_places_is_near_the_truth(trained, kind):
    assert np.abs(curve(trained[kind].bias)[:PLACES] - EXAMINATION).max() < 0.08


@pytest.mark.parametrize("kind", ["examination", "ips"])
def test_a_score_is_the_chance_of_an_action_once_looked_at(trained, world, kind):
    chance = 1 / (1 + np.exp(-scores(trained[kind], world)))
    assert chance.mean() == pytest.approx(world.relevance.mean(), rel=0.15)
    assert 1 / (1 + np.exp(-scores(trained["none"], world).mean())) < world.relevance.mean() * 0.7
