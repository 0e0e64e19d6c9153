import numpy as np

from components.rehearsal.sampled_requests import read_requests, resized, tensors
from tests.components.rehearsal.shops import example, shop

SERIALIZED = [example("a", [1.0, 2.0, 3.0], events=2), example("b", [7.0], events=0)]


def test_a_list_is_filled_up_behind_its_end_and_the_counts_say_how_much_counts() -> None:
    found = tensors(read_requests(SERIALIZED, shop())[0], 4, shop())
    assert found["price"].tolist() == [[1.0, 2.0, 3.0, 0.0]]
    assert found["item"].tolist() == [[b"i0", b"i1", b"i2", b""]]
    assert found["image"].tolist() == [[[0, 0], [1, -1], [2, -2], [0, 0]]]
    assert found["history_item"].tolist() == [[b"h0", b"h1", b""]]
    assert found["device"].tolist() == [b"phone"]
    assert (found["n_candidates"].tolist(), found["n_history"].tolist()) == ([3], [2])
    assert found["n_candidates"].dtype == np.int64


def test_a_guest_without_history_is_a_request_too() -> None:
    found = tensors(read_requests(SERIALIZED, shop())[1], 2, shop())
    assert (found["history_age_s"].tolist(), found["n_history"].tolist()) == ([[0.0, 0.0, 0.0]], [0])


def test_a_request_is_brought_to_a_length_by_repeating_or_cutting_its_candidates_alone() -> None:
    first, _ = read_requests(SERIALIZED, shop())
    longer, shorter = resized(first, 5, shop()), resized(first, 2, shop())
    assert longer.values["price"].tolist() == [1, 2, 3, 1, 2]
    assert longer.values["image"].tolist() == [[0, 0], [1, -1], [2, -2], [0, 0], [1, -1]]
    assert shorter.values["item"].tolist() == [b"i0", b"i1"]
    assert longer.values["history_item"].tolist() == [b"h0", b"h1"]
    assert (longer.candidates, shorter.candidates, first.candidates) == (5, 2, 3)
