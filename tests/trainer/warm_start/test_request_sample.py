"""Check which requests a warm start trains on and is judged by."""

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.conftest import serialize, write
from trainer.data.input_pipeline import request_times
from trainer.warm_start import request_sample
from trainer.warm_start.request_sample import chosen_requests, new_and_replayed

TIMES = np.array([50, 10, 20, 60, 30, 40, 0], np.int64)


def chosen(since_us, replay, seed=0):
    return TIMES[new_and_replayed(TIMES, since_us, replay=replay, generator=np.random.default_rng(seed))].tolist()


@pytest.mark.parametrize(("replay", "earlier"), [(0.0, 0), (0.5, 1), (1.0, 2), (2.0, 4), (9.0, 5)])
def test_every_new_request_is_taken_and_as_many_earlier_ones_as_are_asked_for_and_there(replay, earlier):
    times = chosen(50, replay)
    assert {50, 60} <= set(times)
    assert len(times) == len(set(times)) == 2 + earlier


def test_another_seed_draws_other_earlier_requests_and_the_same_seed_the_same():
    draws = [tuple(sorted(chosen(60, 1.0, seed))) for seed in range(60)]
    assert draws == [tuple(sorted(chosen(60, 1.0, seed))) for seed in range(60)]
    assert len(set(draws)) == 6  # each of the earlier ones with some seed


def records(files):
    return list(tf.data.TFRecordDataset(files).as_numpy_iterator())


def test_the_chosen_requests_are_copied_byte_by_byte_and_judging_is_bounded(every_kind, tmp_path, monkeypatch):
    monkeypatch.setattr(request_sample, "EVAL_REQUESTS", 10)
    rows = [serialize(row) for row in every_kind.rows]
    train, evaluate = write(tmp_path / "train", rows[:150]), write(tmp_path / "eval", rows[150:])
    times = request_times([train])
    since_us = int(np.sort(times)[-20])
    new = {rows[at] for at in np.flatnonzero(times >= since_us)}
    files = [
        chosen_requests([train], [evaluate], str(tmp_path / name), times=times, since_us=since_us, replay=1.0, seed=3) for name in "ab"
    ]
    training, judging = map(records, files[0])
    assert [training, judging] == list(map(records, files[1]))
    assert new < set(training) < set(rows[:150])
    assert len(training) == 2 * len(new)
    assert len(judging) == 10
    assert set(judging) < set(rows[150:])
