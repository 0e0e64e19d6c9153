"""What is handed on when a feature's word is taken away, and that nothing else moves."""

import numpy as np
import pyarrow as pa
import pytest

from components.contract.errors import InputError
from components.contract.load import parse_dataset
from components.evaluation.importance.permutation import LIST_COPIES, permute, permute_list_context, permuted_features

DATASET = parse_dataset("""
name: shop
events: {path: e.csv, columns: {time: time, user: user, item: item, action: action, request: request}}
items: {path: i.csv, id: id}
actions: {view: {}, click: {label: 1}}
candidates: {from: impressions, action: view}
half_lives: [1h, 1d]
features:
  - {name: device, kind: category, side: context}
  - {name: history, kind: history, side: user, length: 3, actions: [click], fields: [item]}
  - {name: item, kind: id, side: item}
  - {name: image, kind: vector, side: item, size: 2}
  - {name: price, kind: number, side: item}
  - {name: price_in_list, kind: list, side: item, of: price}
  - {name: clicks, kind: state, side: item, measure: count, action: click}
""")
BY_NAME = {subject.name: subject for subject in permuted_features(DATASET)}
LENGTHS = np.array([3, 1, 0, 4])


def lists(values: list[list[object]], kind: pa.DataType) -> pa.Array:
    return pa.array(values, pa.list_(kind))


def of_candidates(scale: float) -> list[list[float]]:
    ends = np.cumsum(LENGTHS)
    return [[scale * i for i in range(end - n, end)] for n, end in zip(LENGTHS, ends, strict=True)]


BLOCK = pa.record_batch(
    {
        "device": lists([[b"a"], [b"b"], [b"c"], [b"d"]], pa.binary()),
        "history_item": lists([[b"1", b"2"], [], [b"3"], [b"4"]], pa.binary()),
        "history_action": lists([[b"x", b"y"], [], [b"z"], [b"w"]], pa.binary()),
        "history_age_s": lists([[1.0, 2.0], [], [3.0], [4.0]], pa.float32()),
        "item": lists([[b"%d" % i for i in row] for row in of_candidates(1)], pa.binary()),
        "image": lists([[v for i in row for v in (i, -i)] for row in of_candidates(1)], pa.float32()),
        "price": lists(of_candidates(10), pa.float32()),
        "clicks_1h": lists(of_candidates(1), pa.float32()),
        "clicks_1d": lists(of_candidates(2), pa.float32()),
        "label": lists(of_candidates(0), pa.float32()),
    }
)


def moved(feature: str, seed: int = 0) -> pa.RecordBatch:
    return permute(BLOCK, BY_NAME[feature].columns, row_lengths=LENGTHS, random=np.random.default_rng(seed))


def test_every_feature_of_the_file_is_a_subject_with_all_of_its_columns() -> None:
    assert [feature.name for feature in DATASET.features] == list(BY_NAME)
    assert [column.name for column in BY_NAME["history"].columns] == ["history_item", "history_action", "history_age_s"]
    assert [column.name for column in BY_NAME["clicks"].columns] == ["clicks_1h", "clicks_1d"]
    assert ([column.name for column in BY_NAME["price_in_list"].columns], BY_NAME["price_in_list"].compares) == (["price"], True)
    assert not BY_NAME["price"].compares


@pytest.mark.parametrize("feature", ["device", "history", "item", "image", "price", "clicks"])
def test_only_the_columns_of_the_feature_move_and_no_value_is_lost(feature: str) -> None:
    after = moved(feature)
    own = {column.name for column in BY_NAME[feature].columns}
    for name in BLOCK.schema.names:
        assert (after.column(name) == BLOCK.column(name)) == (name not in own), name
        assert sorted(after.column(name).flatten().to_pylist()) == sorted(BLOCK.column(name).flatten().to_pylist())


def test_a_history_moves_whole_and_with_all_of_its_columns() -> None:
    after = moved("history")
    whole = dict(zip(map(tuple, BLOCK.column("history_item").to_pylist()), BLOCK.column("history_action").to_pylist(), strict=True))
    for items, actions in zip(after.column("history_item").to_pylist(), after.column("history_action").to_pylist(), strict=True):
        assert whole[tuple(items)] == actions


def test_candidates_change_places_across_lists_with_all_of_their_columns_and_vectors_stay_whole() -> None:
    clicks = moved("clicks")
    assert clicks.column("clicks_1d").flatten().to_pylist() == [2 * each for each in clicks.column("clicks_1h").flatten().to_pylist()]
    assert clicks.column("clicks_1h").value_lengths().to_pylist() == LENGTHS.tolist()
    pairs = np.array(moved("image").column("image").flatten().to_pylist()).reshape(-1, 2)
    assert (pairs[:, 0] == -pairs[:, 1]).all()
    crossed = sum(set(row) - set(old) != set() for row, old in zip(clicks.column("clicks_1h").to_pylist(), of_candidates(1), strict=True))
    assert crossed > 0


def test_the_same_generator_moves_alike_and_another_one_otherwise() -> None:
    assert moved("price", 1).equals(moved("price", 1))
    assert not moved("price", 1).equals(moved("price", 2))


def test_a_candidate_keeps_its_number_among_those_of_another_request() -> None:
    lengths = np.array([3, 20, 5, 2])
    rows = np.split(np.arange(30.0), np.cumsum(lengths)[:-1])
    block = pa.record_batch(
        {"price": lists([row.tolist() for row in rows], pa.float32()), "name": lists([[i] for i in range(4)], pa.int64())}
    )
    column = BY_NAME["price"].columns[0]
    held = permute_list_context(block, column, row_lengths=lengths, random=np.random.default_rng(0))
    origin = [row[0] for row in held.block.column("name").to_pylist()]
    assert origin == np.repeat(np.arange(4), np.minimum(lengths, LIST_COPIES)).tolist()
    assert held.row_lengths.tolist() == lengths[origin].tolist()
    flat = held.block.column("price").flatten().to_numpy()
    assert flat[held.scored].tolist() == list(range(30))  # each candidate once, with its own number, in order
    kept = 0
    for request, numbers in zip(origin, held.block.column("price").to_pylist(), strict=True):
        foreign = set(numbers) - set(rows[request].tolist())
        kept += len([number for number in numbers if number in rows[request]])
        assert len({next(i for i, row in enumerate(rows) if number in row) for number in foreign}) == 1  # of one other request
    assert kept == 30


def test_a_lone_request_and_one_without_candidates_stay_as_they_are() -> None:
    column = BY_NAME["price"].columns[0]
    lone = pa.record_batch({"price": lists([[1.0, 2.0]], pa.float32())})
    held = permute_list_context(lone, column, row_lengths=np.array([2]), random=np.random.default_rng(0))
    assert held.block.column("price").to_pylist() == [[1.0, 2.0]] * 2
    empty = pa.record_batch({"price": lists([[1.0, 2.0], []], pa.float32())})
    held = permute_list_context(empty, column, row_lengths=np.array([2, 0]), random=np.random.default_rng(0))
    assert held.block.column("price").to_pylist() == [[1.0, 2.0]] * 2


def test_a_column_with_too_few_values_is_an_error_that_names_it() -> None:
    with pytest.raises(InputError, match="expected 4 values of 'price' for the 4 candidates of a request, got 3"):
        permute(BLOCK.slice(0, 1), BY_NAME["price"].columns, row_lengths=np.array([4]), random=np.random.default_rng(0))
