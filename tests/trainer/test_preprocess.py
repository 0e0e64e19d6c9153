import math

import numpy as np
import pytest
import tensorflow as tf

from components.contract.columns import input_columns
from components.schema.parsing import parse
from trainer.model.list_features import rank_in_list, ratio_to_mean
from trainer.model.network_inputs import BUCKETS, layout

NAN = float("nan")


@pytest.fixture(scope="module")
def transformed(every_kind):
    raw = parse(tf.constant(every_kind.serialized), input_columns(every_kind.dataset))
    return raw, every_kind.tft.transform_features_layer()(raw)


def test_every_input_column_has_a_part_in_the_layout(every_kind):
    plan = layout(every_kind.dataset)
    placed = {each.column.name for each in (*plan.tokens, *plan.bags)} | {column.name for column in plan.vectors}
    placed |= {measure.column for axis in ("request", "candidate", "history") for measure in plan.numbers(axis)}
    placed |= {f"{plan.history}_action", f"{plan.history}_age_s"}
    assert placed == {column.name for column in input_columns(every_kind.dataset)}


def test_a_missing_token_is_0_and_no_other_is(transformed):
    raw, out = transformed
    for name in ("item", "brand", "shop", "last_item", "last_brand", "user", "device"):
        values, ids = (getattr(each[name], "flat_values", each[name]).numpy() for each in (raw, out))
        assert ((ids == 0) == (values == b"")).all()


@pytest.mark.parametrize(("field", "of_column"), [("last_item", "item"), ("last_brand", "brand")])
def test_an_event_has_the_id_of_its_candidate(transformed, field, of_column):
    raw, out = transformed
    ids = dict(zip(raw[of_column].flat_values.numpy(), out[of_column].flat_values.numpy(), strict=True))
    shared = [
        (ids[value], got) for value, got in zip(raw[field].flat_values.numpy(), out[field].flat_values.numpy(), strict=True) if value in ids
    ]
    assert shared
    assert all(expected == got for expected, got in shared)


def test_an_unseen_category_has_a_bucket_of_its_own_feature_and_features_share_no_id(every_kind, transformed):
    raw, out = transformed
    columns = input_columns(every_kind.dataset)
    unseen = parse(tf.constant([every_kind.serialize({**every_kind.rows[0], "device": ["never"], "hour": ["seen"]})]), columns)
    other = every_kind.tft.transform_features_layer()(unseen)
    buckets = layout(every_kind.dataset).category_buckets
    assert other["device"].numpy()[0] in buckets["device"]
    assert other["hour"].numpy()[0] in buckets["hour"]
    ids = [set(getattr(out[name], "flat_values", out[name]).numpy()) - {0} for name in ("device", "hour", "brand")]
    seen = [len(set(getattr(raw[name], "flat_values", raw[name]).numpy()) - {b""}) for name in ("device", "hour", "brand")]
    assert [len(each) for each in ids] == seen
    assert len(set.union(*ids)) == sum(seen)


def test_a_column_that_never_holds_a_value_is_missing_and_nothing_else(no_shopper):
    raw = parse(tf.constant(no_shopper.serialized), input_columns(no_shopper.dataset))
    out = no_shopper.tft.transform_features_layer()(raw)
    names = [measure.name for measure in layout(no_shopper.dataset).candidate_numbers]
    for name in ("never", "never_in_list_rank", "never_in_list_ratio"):
        assert not out["candidate.values"].flat_values.numpy()[:, names.index(name)].any()
        assert not out["candidate.buckets"].flat_values.numpy()[:, names.index(name)].any()
    assert not out["nowhere"].flat_values.numpy().any()


def test_words_are_read_in_lower_case_with_their_pairs_and_without_punctuation(transformed):
    raw, out = transformed
    bags = dict(zip(raw["title"].flat_values.numpy(), out["title"].values.to_list(), strict=True))
    assert bags[b"red shoe"][1] == bags[b"Blue SHOE"][1]
    assert len(bags[b"red shoe"]) == 3  # red, shoe, red shoe
    assert len(bags[b"green hat, wool"]) == 5
    assert bags[b""] == []
    assert all(1 <= word <= 50 for bag in bags.values() for word in bag)


def test_joined_values_are_split_and_empty_ones_left_out(transformed):
    raw, out = transformed
    bags = dict(zip(raw["tags"].flat_values.numpy(), out["tags"].values.to_list(), strict=True))
    assert bags[b""] == []
    assert bags[b"a||c|d"] == [bags[b"a|b"][0], bags[b"c"][0], bags[b"a||c|d"][2]]


def test_vectors_are_folded_and_missing_parts_are_0(transformed):
    raw, out = transformed
    expected = np.nan_to_num(raw["image"].flat_values.numpy()).reshape(-1, 2)
    assert out["image"].flat_values.numpy().tolist() == expected.tolist()
    assert out["image"].row_lengths().numpy().tolist() == (raw["image"].row_lengths().numpy() // 2).tolist()


def test_numbers_are_standardised_over_the_training_window_and_missing_ones_are_0_in_bucket_0(every_kind):
    training = parse(tf.constant(every_kind.serialized[: len(every_kind.serialized) * 3 // 4]), input_columns(every_kind.dataset))
    out = every_kind.tft.transform_features_layer()(training)
    at = [measure.name for measure in layout(every_kind.dataset).candidate_numbers].index("price")
    price, z, bucket = (
        training["price"].flat_values.numpy(),
        out["candidate.values"].flat_values.numpy()[:, at],
        out["candidate.buckets"].flat_values.numpy()[:, at],
    )
    missing = np.isnan(price)
    assert (z[missing] == 0).all()
    assert (bucket[missing] == 0).all()
    logs = np.log1p(price[~missing])
    assert z[~missing] == pytest.approx((logs - logs.mean()) / logs.std(), abs=1e-4)
    # Quantiles: about as many in each bucket, and a higher price is never in a lower bucket.
    assert set(bucket[~missing]) == set(range(1, BUCKETS + 1))
    assert (np.diff(bucket[~missing][np.argsort(price[~missing])]) >= 0).all()
    counts = np.bincount(bucket[~missing])[1:]
    assert counts.max() - counts.min() <= 0.1 * len(logs)


def test_a_price_in_the_history_stands_on_the_scale_of_the_candidates(transformed, every_kind):
    raw, out = transformed
    at = [measure.name for measure in layout(every_kind.dataset).candidate_numbers].index("price")
    prices, scaled = raw["price"].flat_values.numpy(), out["candidate.values"].flat_values.numpy()[:, at]
    slope, start = np.polyfit(np.log1p(prices[~np.isnan(prices)]), scaled[~np.isnan(prices)], 1)
    past, past_scaled = raw["last_price"].flat_values.numpy(), out["history.values"].flat_values.numpy()[:, 0]
    assert past_scaled == pytest.approx(np.where(np.isnan(past), 0, slope * np.log1p(past) + start), abs=1e-3)


def test_actions_and_ages_of_the_history_are_coded(transformed):
    raw, out = transformed
    codes = {b"click": 1, b"buy": 2}
    assert out["history.action"].flat_values.numpy().tolist() == [codes[action] for action in raw["last_action"].flat_values.numpy()]
    ages = raw["last_age_s"].flat_values.numpy()
    assert out["history.age"].flat_values.numpy().tolist() == [math.floor(math.log2(1 + age)) for age in ages]


def test_rank_in_list_is_centred_shares_ties_and_skips_missing():
    values = tf.ragged.constant([[10.0, 30.0, 20.0], [5.0, 5.0, 1.0, NAN], [7.0], [NAN], []])
    expected = [[-1 / 2, 1 / 2, 0], [1 / 4, 1 / 4, -1 / 2, NAN], [0], [NAN], []]
    assert np.concatenate(rank_in_list(values).to_list()) == pytest.approx(np.concatenate(expected), nan_ok=True)


def test_ratio_in_list_is_to_the_mean_of_the_known():
    values = tf.ragged.constant([[1.0, 3.0], [2.0, NAN, 2.0], [0.0, 0.0], [0.0, 1.0]])
    expected = [[1 / 2, 3 / 2], [1, NAN, 1], [1, 1], [1 / 1000, 2]]
    assert np.concatenate(ratio_to_mean(values).to_list()) == pytest.approx(np.concatenate(expected), nan_ok=True)
