"""Load the last ingestion's items and users, with their typed features, as arrays to gather from."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.features import GivenFeature, Number, Vector
from components.contract.sources import Identities, Table
from components.state.versions import FROM, Versions
from serving.state.item_codes import ItemCodes

Values = NDArray[Any]


@final
class Items:
    """Hold the catalogue: n items, each with a row; row n stands for items that the catalogue lacks.

    `columns` holds by feature (v + 1,) float32, (v + 1, size) float32, or (v + 1,) bytes; `at` returns the indices of
    rows in them at a time, and the last index holds missing values. Without versions an item's index is its row.

    Args:
        ids: of the items, sorted where they have versions.
        columns: see above.
        versions: validity of `columns`, by the items' rows; None where values don't change.
    """

    def __init__(self, ids: Sequence[str], columns: dict[str, Values], versions: Versions | None = None) -> None:
        self.ids = list(ids)
        self.columns = columns
        self.encoded = _objects([*(item.encode() for item in self.ids), b""])  # (n + 1,)
        self._rows = {item: row for row, item in enumerate(self.ids)}
        self._versions = versions

    def rows(self, items: Sequence[str]) -> NDArray[np.int64]:
        """Return the row of each item, (L,); n where the catalogue lacks it."""
        unknown = len(self.ids)
        row_of = self._rows.get
        return np.array([row_of(item, unknown) for item in items], np.int64)

    def at(self, rows: NDArray[np.int64], time_us: int) -> NDArray[np.int64]:
        """Return the indices in `columns` of rows at a time, (L,)."""
        return rows if self._versions is None else self._versions.rows(rows, time_us)  # -1 is the last: of missing values

    def values(self, time_us: int) -> dict[str, Values]:
        """Return the values of all n items at a time, by feature."""
        if self._versions is None:
            return {name: values[:-1] for name, values in self.columns.items()}
        rows = self.at(np.arange(len(self.ids)), time_us)
        return {name: values[rows] for name, values in self.columns.items()}

    def period(self, time_us: int) -> int:
        """Return a number that changes whenever some item's values do."""
        return 0 if self._versions is None else self._versions.period(time_us)

    def __contains__(self, item: str) -> bool:
        return item in self._rows


@final
class Users:
    """Hold the table of shoppers, sorted by id, and by time where rows are valid from a time on.

    It stays an Arrow table: a request reads one row, and there may be millions.

    `pseudonym_of` returns a shopper's name in what the pipeline trains on: the id, unless a catalogue's `with_pseudonyms`
    sets another.
    """

    def __init__(self, table: pa.Table, features: tuple[GivenFeature, ...]) -> None:
        self._rows = _Rows(table, "user")
        self._features = features
        self.pseudonym_of: Callable[[str], str] = str
        self._columns = {feature.name: _single(table[feature.name]) for feature in features}

    def __contains__(self, user: str) -> bool:
        return user in self._rows

    @property
    def ids(self) -> list[str]:
        """Return all ids, sorted."""
        ids: list[str] = pc.unique(self._rows.ids).to_pylist()
        return ids

    def sample(self, count: int, generator: np.random.Generator) -> list[str]:
        """Return a random sample of at most `count` ids, sorted."""
        ids = self._rows.ids
        rows = np.sort(generator.permutation(len(ids))[:count])
        return sorted({ids[row].as_py() for row in rows.tolist()})

    def values(self, user: str, time_us: int) -> dict[str, Values]:
        """Return a shopper's values by feature, (1,) or (1, size); missing ones where no row is valid by then.

        The row is that of the id, or else of the pseudonym: the table may be the shop's own, or one for a log with a salt.
        """
        row = self._rows.find(user, time_us)
        if row is None and (name := self.pseudonym_of(user)) != user:
            row = self._rows.find(name, time_us)
        if row is None:
            return {feature.name: _missing(feature) for feature in self._features}
        return {feature.name: self._value(row, feature) for feature in self._features}

    def _value(self, row: int, feature: GivenFeature) -> Values:
        column = self._columns[feature.name]
        if isinstance(feature, Number | Vector):
            return _as_array(column[row : row + 1], feature)
        return _objects([column[row].as_py().encode()])


@final
class SecondIds:
    """Map ids, such as a device's, to the shopper they stand for, and back."""

    def __init__(self, table: pa.Table | None = None) -> None:
        self._rows = None if table is None else _Rows(table, "id")
        self._users = None if table is None else _single(table["user"])

    def shopper(self, identifier: str, time_us: int) -> str:
        """Return the shopper whom an id stands for at a time: itself where the table has no row."""
        if self._rows is None or self._users is None or not identifier:
            return identifier
        row = self._rows.find(identifier, time_us)
        return identifier if row is None else str(self._users[row].as_py())

    def ids_of(self, shopper: str) -> list[str]:
        """Return the ids that stand for a shopper at any time, sorted."""
        if self._rows is None or self._users is None:
            return []
        own = pc.equal(self._users, pa.scalar(shopper, self._users.type))
        return sorted(set(self._rows.ids.filter(own).to_pylist()))

    def all_ids(self, identifier: str, time_us: int) -> list[str]:
        """Return an id, the shopper it stands for at a time, and all ids that stand for that shopper at any time."""
        account = self.shopper(identifier, time_us)
        return list(dict.fromkeys([identifier, account, *self.ids_of(account)]))


class _Rows:
    """Find the row of an id in a sorted table."""

    def __init__(self, table: pa.Table, name: str) -> None:
        self.ids = _single(table[name])
        self._from = _single(table[FROM]) if FROM in table.column_names else None

    def __contains__(self, identifier: str) -> bool:
        row = self._first(identifier)
        return row < len(self.ids) and self.ids[row].as_py() == identifier

    def find(self, identifier: str, time_us: int) -> int | None:
        """Return the row that is valid at a time, or None."""
        if identifier not in self:
            return None
        first = self._first(identifier)
        if self._from is None:
            return first
        valid_from = self._from
        after = bisect_right(range(len(self.ids)), identifier, lo=first, key=lambda row: self.ids[row].as_py())
        row = bisect_right(range(len(self.ids)), time_us, lo=first, hi=after, key=lambda row: valid_from[row].as_py()) - 1
        return row if row >= first else None

    def _first(self, identifier: str) -> int:
        return bisect_left(range(len(self.ids)), identifier, key=lambda row: self.ids[row].as_py())


@final
class Catalogue:
    """Hold items and users of one ingestion, and the items' codes in histories: rows of the catalogue come first."""

    def __init__(self, items: Items, users: Users, second_ids: SecondIds) -> None:
        self.items, self.users, self.second_ids, self.codes = items, users, second_ids, ItemCodes(items.ids)

    def with_pseudonyms(self, pseudonym_of: Callable[[str], str]) -> "Catalogue":
        """Return this catalogue for a service whose log has pseudonyms; both share items, tables and codes."""
        catalogue = copy(self)
        catalogue.users = copy(self.users)
        catalogue.users.pseudonym_of = pseudonym_of
        return catalogue

    def encoded(self, rows: NDArray[np.int64], items: Sequence[str]) -> NDArray[np.object_]:
        """Return the ids of items, whose rows are known, as UTF-8, (L,)."""
        ids = self.items.encoded[rows]
        for index in np.flatnonzero(rows == len(self.items.ids)).tolist():
            ids[index] = items[index].encode()
        return ids

    def items_of_codes(self, codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
        """Return the rows (H,) and the ids (H,) of a history's items."""
        unknown = len(self.items.ids)
        rows = np.where((codes >= 0) & (codes < unknown), codes, unknown)
        ids = self.items.encoded[rows]
        for index in np.flatnonzero(rows == unknown).tolist():
            ids[index] = self.codes.name(int(codes[index])).encode()
        return rows, ids


def load_catalogue(folder: Path, dataset: Dataset) -> Catalogue:
    """Load `catalogue/` of ingestion's state; see `load_items`."""
    return Catalogue(load_items(folder, dataset), load_users(folder, dataset), load_second_ids(folder, dataset))


def load_items(folder: Path, dataset: Dataset) -> Items:
    """Load `catalogue/items.parquet` of ingestion's state; empty where the dataset has no catalogue.

    Raises:
        InputError: the file is missing, truncated, or lacks a feature of the dataset file.
    """
    if dataset.items is None:
        return Items((), {})
    features = dataset.input_features("items")
    table = _read(folder / "catalogue" / "items.parquet", "item", features, dataset.items)
    columns = {feature.name: np.concatenate([_as_array(_single(table[feature.name]), feature), _missing(feature)]) for feature in features}
    if dataset.items.valid_from is None:
        return Items(table["item"].to_pylist(), columns)
    coded = _single(table["item"]).dictionary_encode()  # codes are in the order of first occurrence, which is that of the ids
    versions = Versions(coded.indices.to_numpy().astype(np.int64), _single(table[FROM]).to_numpy())
    return Items(coded.dictionary.to_pylist(), columns, versions)


def load_users(folder: Path, dataset: Dataset) -> Users:
    """Load `catalogue/users.parquet`, as `load_items` does."""
    if dataset.users is None:
        return Users(pa.table({"user": pa.array([], pa.string())}), ())
    features = dataset.input_features("users")
    return Users(_read(folder / "catalogue" / "users.parquet", "user", features, dataset.users), features)


def load_second_ids(folder: Path, dataset: Dataset) -> SecondIds:
    """Load `catalogue/identities.parquet`, as `load_items` does."""
    if dataset.identities is None:
        return SecondIds()
    return SecondIds(_read(folder / "catalogue" / "identities.parquet", "id", (), dataset.identities, what="second ids"))


def _read(path: Path, name: str, features: tuple[GivenFeature, ...], table: Table | Identities, *, what: str = "") -> pa.Table:
    try:
        rows = pq.ParquetFile(path).read()
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"expected the {what or f'{name}s'} of the last ingestion in {path}, but they can't be read ({error}); ingest again"
        ) from error
    own = {name: pa.large_string(), **({FROM: pa.int64()} if table.valid_from is not None else {})}
    for column, dtype in (own | {feature.name: _arrow_type(feature) for feature in features}).items():
        if column not in rows.column_names or rows[column].type != dtype:
            actual = rows[column].type if column in rows.column_names else "nothing"
            raise InputError(
                f"{path}: expected {dtype} in column {column!r}, found {actual};"
                " use the dataset file that the state was ingested with, or ingest again"
            )
    return rows


def _arrow_type(feature: GivenFeature) -> pa.DataType:
    if isinstance(feature, Number):
        return pa.float32()
    return pa.list_(pa.float32(), feature.size) if isinstance(feature, Vector) else pa.large_string()


def _as_array(column: pa.Array, feature: GivenFeature) -> Values:
    if isinstance(feature, Number):
        values: Values = column.to_numpy(zero_copy_only=False)
        return values
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
