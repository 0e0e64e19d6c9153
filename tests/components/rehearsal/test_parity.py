import numpy as np
import pytest

from components.rehearsal.parity import parity
from components.rehearsal.report import Rehearsal


def scores(*values: float) -> dict[str, np.ndarray]:
    return {"scores": np.array(values, np.float32)}


def test_scores_within_the_tolerance_are_alike_and_the_greatest_difference_is_told() -> None:
    found = parity(["a", "b"], [scores(0.5, 0.25), scores(0.75)], [scores(0.5, 0.25), scores(0.625)], tolerance=0.125)
    assert (found.differing, found.difference, found.example) == (0, 0.125, "")


def test_a_difference_is_shown_where_it_is_greatest_in_the_first_request_that_has_one() -> None:
    offline, served = [scores(1), scores(0.5, 0.5), scores(0)], [scores(1), scores(0.25, 1), scores(1)]
    found = parity(["a", "b", "c"], offline, served, tolerance=0.1)
    assert (found.differing, found.difference) == (2, 1.0)
    assert found.example == "in request 'b' candidate 2 has scores 0.5 offline and 1 served"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_at_one_door_alone_differs(value: float) -> None:
    assert parity(["a"], [scores(value)], [scores(value)], tolerance=0.1).differing == 0
    for offline, served in ((value, 0.5), (0.5, value)):
        found = parity(["a"], [scores(offline)], [scores(served)], tolerance=0.1)
        assert (found.differing, found.difference) == (1, None)


def test_every_output_counts_and_one_that_is_not_served_is_an_error() -> None:
    offline = [scores(0.5) | {"chance": np.array([0.5], np.float32)}]
    assert parity(["a"], offline, [scores(0.5) | {"chance": np.array([0.25], np.float32)}], tolerance=0.1).differing == 1
    with pytest.raises(KeyError, match="chance"):
        parity(["a"], offline, [scores(0.5)], tolerance=0.1)


def test_what_was_found_is_said_in_the_words_of_the_gates_and_read_back_as_it_was_written() -> None:
    import json

    good = Rehearsal(200, (10, 20), 50.0, "", 0, 1.5e-7, "", 2.0, 50.0)
    assert [finding.sentence for finding in good.findings] == [
        "Passed: served scores of 200 recorded requests are the offline ones (greatest difference 1.5e-07, limit 1e-06).",
        "Passed: served requests took 2.0 ms (p50), 50.0 ms (p99), within 50 ms.",
    ]
    assert Rehearsal.from_json(json.loads(good.to_json())) == good
