import pytest

from components.contract.errors import DatasetFileError
from components.rehearsal.length_buckets import bucket, shown
from tests.components.rehearsal.shops import shop


@pytest.mark.parametrize(("length", "filled"), [(1, 10), (10, 10), (11, 20), (20, 20), (21, 40), (41, 60)])
def test_a_list_is_filled_up_to_the_next_length_and_beyond_the_last_to_a_multiple_of_it(length: int, filled: int) -> None:
    assert bucket(length, (10, 20)) == filled


def test_only_lengths_that_lists_are_filled_up_to_are_warmed_up() -> None:
    assert shown(11, (10, 20, 50)) == (10, 20)
    assert shown(10, (10, 20, 50)) == (10,)
    assert shown(60, (10, 20, 50)) == (10, 20, 50)


def test_lengths_out_of_order_are_a_fault_of_the_dataset_file() -> None:
    with pytest.raises(DatasetFileError, match="expected `list_lengths` in ascending order"):
        shop("{list_lengths: [20, 10]}")
    with pytest.raises(DatasetFileError, match="did you mean 'latency_ms'"):
        shop("{latency: 3}")
