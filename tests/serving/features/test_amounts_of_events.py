"""Events that differ in an amount alone are two, as rows of a log are; and amounts are numbers that the dataset file names."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from components.contract.errors import InputError
from serving.features.events import Changes, Interaction
from serving.state.interface import Change
from tests.serving.service.little_shop import catalogue, dataset, write_shop

T_US = 1_770_000_000_000_000


@pytest.fixture
def change(tmp_path: Path) -> Callable[..., Change]:
    _, state = write_shop(tmp_path)
    changes = Changes(dataset(), catalogue(state))

    def of(**amounts: float) -> Change:
        made = changes.from_event(Interaction(shopper="a", action="click", time_us=T_US, item="p0", amounts=amounts), now_us=T_US)
        assert made is not None
        return made

    return of


def test_a_mark_tells_amounts_apart_and_a_repetition_has_the_same(change: Callable[..., Change]) -> None:
    marks = [change(**amounts).mark for amounts in ({}, {"revenue": 5}, {"revenue": 6}, {"quantity": 5}, {"revenue": 5, "quantity": 5})]
    assert len(set(marks)) == 5
    assert change(revenue=5.0).mark == change(revenue=5).mark == marks[1]


def test_no_state_is_made_of_an_amount(change: Callable[..., Change]) -> None:
    plain, paid = change(), change(revenue=1e6)
    assert (plain.users, plain.items) == (paid.users, paid.items)


def test_an_amount_is_a_finite_number_that_the_dataset_file_names(change: Callable[..., Change]) -> None:
    with pytest.raises(InputError, match=r"no column for the role 'margin' \(named: revenue, quantity\)"):
        change(margin=1)
    with pytest.raises(InputError, match="expected finite numbers as amounts"):
        change(revenue=math.nan)
