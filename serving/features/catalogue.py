"""The items and users of the last ingestion with their typed features, as arrays that a request is gathered from."""

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.features import GivenFeature, Number, Vector
from serving.state.codes import ItemCodes

Values = NDArray[Any]


@final
class Items:
    """The catalogue. Row n, behind those of its n items, is that of an item which it lacks: all values missing.

    `columns`: by feature (n + 1,) float32, (n + 1, size) float32, or (n + 1,) bytes.
    """

    def __init__(self, ids: Sequence[str], columns: dict[str, Values]) -> None:
        self.ids = list(ids)
        self.columns = columns
        self.encoded = _objects([*(item.encode() for item in self.ids), b""])  # (n + 1,)
        self._rows = {item: row for row, item in enumerate(self.ids)}

    def rows(self, items: Sequence[str]) -> NDArray[np.int64]:
        """(L,) the row of each item; n where the catalogue lacks it."""
        unknown = len(self.ids)
        find = self._rows.get
        return np.array([find(item, unknown) for item in items], np.int64)

    def __contains__(self, item: str) -> bool:
        return item in self._rows


@final
class Users:
    """The table of shoppers, sorted by id. It stays as Arrow lays it: a request asks for one row, and there may be millions."""

    def __init__(self, table: pa.Table, features: tuple[GivenFeature, ...]) -> None:
        whole = table.combine_chunks()
        self._ids = _single(whole["user"])
        self._features = features
        self._columns = {feature.name: _single(whole[feature.name]) for feature in features}

    def __contains__(self, user: str) -> bool:
        return self._row(user) is not None

    def some(self, count: int, generator: np.random.Generator) -> list[str]:
        """Ids of at most `count` shoppers, drawn by lot, sorted."""
        rows = np.sort(generator.permutation(len(self._ids))[:count])
        return [self._ids[row].as_py() for row in rows.tolist()]

    def values(self, user: str) -> dict[str, Values]:
        """By feature: (1,) float32, (1, size) float32 or (1,) bytes; missing values where the table lacks the shopper."""
        row = self._row(user)
        if row is None:
            return {feature.name: _missing(feature) for feature in self._features}
        return {feature.name: self._value(row, feature) for feature in self._features}

    def _value(self, row: int, feature: GivenFeature) -> Values:
        column = self._columns[feature.name]
        if isinstance(feature, Number | Vector):
            return _as_array(column[row : row + 1], feature)
        return _objects([column[row].as_py().encode()])

    def _row(self, user: str) -> int | None:
        row = bisect_left(range(len(self._ids)), user, key=lambda at: self._ids[at].as_py())
        return row if row < len(self._ids) and self._ids[row].as_py() == user else None


@final
class Catalogue:
    """Items and users of one ingestion, and the codes that histories know the items by: first those of the catalogue, by row."""

    def __init__(self, items: Items, users: Users) -> None:
        self.items, self.users, self.codes = items, users, ItemCodes(items.ids)

    def encoded(self, rows: NDArray[np.int64], items: Sequence[str]) -> NDArray[np.object_]:
        """(L,) the ids of items, whose rows are known, as UTF-8."""
        found = self.items.encoded[rows]
        for place in np.flatnonzero(rows == len(self.items.ids)).tolist():
            found[place] = items[place].encode()
        return found

    def of_codes(self, codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
        """The rows (H,) and the ids (H,) of the items of a history."""
        unknown = len(self.items.ids)
        rows = np.where((codes >= 0) & (codes < unknown), codes, unknown)
        ids = self.items.encoded[rows]
        for place in np.flatnonzero(rows == unknown).tolist():
            ids[place] = self.codes.name(int(codes[place])).encode()
        return rows, ids


def load_catalogue(folder: Path, dataset: Dataset) -> Catalogue:
    """Read what ingestion's state holds in `catalogue/`; see `load_items`."""
    return Catalogue(load_items(folder, dataset), load_users(folder, dataset))


def load_items(folder: Path, dataset: Dataset) -> Items:
    """Read `catalogue/items.parquet` of ingestion's state; empty where the dataset has no catalogue.

    Raises:
        InputError: the file isn't there, isn't whole, or lacks a feature of the dataset file.
    """
    if dataset.items is None:
        return Items((), {})
    features = dataset.given("items")
    table = _read(folder / "catalogue" / "items.parquet", "item", features)
    columns = {feature.name: np.concatenate([_as_array(_single(table[feature.name]), feature), _missing(feature)]) for feature in features}
    return Items(table["item"].to_pylist(), columns)


def load_users(folder: Path, dataset: Dataset) -> Users:
    """Read `catalogue/users.parquet`, likewise."""
    features = dataset.given("users") if dataset.users is not None else ()
    if dataset.users is None:
        return Users(pa.table({"user": pa.array([], pa.string())}), ())
    return Users(_read(folder / "catalogue" / "users.parquet", "user", features), features)


def _read(path: Path, name: str, features: tuple[GivenFeature, ...]) -> pa.Table:
    try:
        table = pq.ParquetFile(path).read()
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"expected the {name}s of the last ingestion in {path}, but they can't be read ({error}); ingest again") from error
    for column, dtype in ((name, pa.large_string()), *((feature.name, _arrow_type(feature)) for feature in features)):
        if column not in table.column_names or table[column].type != dtype:
            found = table[column].type if column in table.column_names else "nothing"
            raise InputError(
                f"{path}: expected {dtype} in column {column!r}, found {found};"
                " use the dataset file that the state was ingested with, or ingest again"
            )
    return table


def _arrow_type(feature: GivenFeature) -> pa.DataType:
    if isinstance(feature, Number):
        return pa.float32()
    return pa.list_(pa.float32(), feature.size) if isinstance(feature, Vector) else pa.large_string()


def _as_array(column: pa.Array, feature: GivenFeature) -> Values:
    if isinstance(feature, Number):
        given: Values = column.to_numpy(zero_copy_only=False)
        return given
    if isinstance(feature, Vector):
        rows: Values = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, feature.size)
        return rows
    coded = column.dictionary_encode()  # equal texts are one object
    words: Values = _objects([text.encode() for text in coded.dictionary.to_pylist()])[coded.indices.to_numpy()]
    return words


def _missing(feature: GivenFeature) -> Values:
    if isinstance(feature, Number):
        return np.full(1, np.nan, np.float32)
    return np.full((1, feature.size), np.nan, np.float32) if isinstance(feature, Vector) else _objects([b""])


def _objects(values: list[bytes]) -> NDArray[np.object_]:
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array


def _single(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined
