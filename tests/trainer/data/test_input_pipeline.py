"""Check that batches depend on seed and epoch alone, and that the shards of a step make up the whole."""

import pytest
import tensorflow as tf

from components.contract.errors import DatasetFileError, InputError
from trainer.data.input_pipeline import SHOWN_GAIN, BatchShard, Epochs, TrainingExamples, batches


@pytest.fixture(params=[True, False], ids=["in memory", "read anew"])
def epochs(request, every_kind):
    def make(shard=None, seed=5, requests=16):
        kept = {} if request.param else {"cached_bytes": 0}
        return Epochs(
            TrainingExamples([every_kind.train]),
            every_kind.tft,
            dataset=every_kind.dataset,
            requests=requests,
            seed=seed,
            shard=shard,
            **kept,
        )

    return make


def content(dataset):
    """Return batches as lists of requests, each as its ids, which are unique."""
    return [[repr(request) for request in zip(*_ids(features), strict=True)] for features, _ in dataset]


def _ids(features):
    whole = [each for name, each in sorted(features.items()) if each.dtype == tf.int64]
    return [each.to_list() if isinstance(each, tf.RaggedTensor) else each.numpy().tolist() for each in whole]


def flat(nested):
    return [request for batch in nested for request in batch]


def test_an_epoch_has_every_request_once_in_batches_of_the_size_asked_for(epochs):
    make = epochs().epoch(0)
    read = content(make)
    assert [len(batch) for batch in read] == [16] * 12
    assert len(set(flat(read))) == 192


def test_an_epoch_is_the_same_whenever_it_is_asked_for_and_unlike_the_next_one(epochs):
    first, second = epochs(), epochs()
    assert content(first.epoch(0)) == content(second.epoch(0))
    # The second never saw the epochs between.
    assert [content(first.epoch(at)) for at in range(1, 4)][-1] == content(second.epoch(3))
    assert content(first.epoch(0)) != content(first.epoch(1))
    assert content(epochs(seed=6).epoch(0)) != content(first.epoch(0))


def test_what_is_left_of_an_epoch_is_its_end(epochs):
    whole = content(epochs().epoch(2))
    assert content(epochs().epoch(2, skipped=5)) == whole[5:]
    assert content(epochs().epoch(2, skipped=12)) == []


def test_shares_of_a_step_make_up_the_whole_and_nothing_twice(epochs):
    alone = content(epochs().epoch(1))
    shared = [content(epochs(BatchShard(worker, workers=2, replicas=2)).epoch(1)) for worker in (0, 1)]
    assert [[len(batch) for batch in read] for read in shared] == [[4] * 24, [4] * 24]
    assert sorted(flat(shared[0] + shared[1])) == sorted(flat(alone))


def test_skipping_a_shared_step_skips_the_batches_of_all_its_replicas(epochs):
    whole = content(epochs(BatchShard(0, 1, 4)).epoch(1))
    assert content(epochs(BatchShard(0, 1, 4)).epoch(1, skipped=3)) == whole[12:]


def test_a_shared_step_is_whole_or_left_out(epochs):
    shared = epochs(BatchShard(0, 1, 2), requests=100)
    assert [len(batch) for batch in content(shared.epoch(0))] == [50, 50]
    assert (shared.steps(), epochs(requests=100).steps(), epochs().steps()) == (1, 2, 12)


def test_a_step_that_can_t_be_shared_evenly_is_refused(epochs):
    with pytest.raises(DatasetFileError, match=r"model.batch_requests: expected a multiple of the 3 replicas that share a step, got 16"):
        epochs(BatchShard(0, 1, 3))


def test_a_shared_step_that_needs_more_requests_than_there_are_is_refused(epochs):
    with pytest.raises(InputError, match=r"expected at least `model.batch_requests` \(200\) training requests"):
        epochs(BatchShard(0, 1, 2), requests=200)


def test_a_candidates_gain_is_the_greatest_of_its_actions(every_kind):
    judged = batches([every_kind.eval], every_kind.tft, dataset=every_kind.dataset, requests=16)
    gained = [row for features, _ in judged for row in features[SHOWN_GAIN].to_list()]
    for read, row in zip(gained, every_kind.rows[-64:], strict=True):
        assert read == [max(click, 3 * buy) for click, buy in zip(row["label_click"], row["label_buy"], strict=True)]
    assert {0.0, 3.0} <= {each for row in gained for each in row}
