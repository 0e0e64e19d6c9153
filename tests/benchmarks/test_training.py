"""What `benchmarks.training.training` compares: the same impressions as requests and as rows, through the ranker's own step."""

import numpy as np
import pytest

from benchmarks.training.training import SHOP, as_rows, generated, impressions_a_second
from components.contract.load import load_dataset


@pytest.mark.slow
def test_rows_repeat_their_request_and_both_shapes_train():
    dataset = load_dataset(SHOP)
    batch = generated(dataset, requests=3, candidates=4, events=5, seed=1)
    features, labels = as_rows(dataset, batch)
    np.testing.assert_array_equal(labels.flat_values, batch[1].flat_values)
    np.testing.assert_array_equal(features["item"].flat_values, batch[0]["item"].flat_values)
    np.testing.assert_array_equal(features["device"], np.repeat(batch[0]["device"], 4))
    assert features["history_item"].row_lengths().numpy().tolist() == [5] * 12
    assert all(rate > 0 for rate in impressions_a_second(dataset, batch, steps=1))
