"""The items and users of the last ingestion with their typed features, as arrays that a request is gathered from."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
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
    """The catalogue: n items, each with a row; row n, behind them, is that of an item which the catalogue lacks.

    `columns`: by feature (v + 1,) float32, (v + 1, size) float32, or (v + 1,) bytes, of which `at` says where a row's values stand at a
    moment; the last are missing values. Where values don't change with time an item's stand at its own row.

    Args:
        ids: of the items, sorted where they have versions.
        columns: see above.
        versions: which of `columns` hold when, by the items' rows; None where values don't change.
    """

    def __init__(self, ids: Sequence[str], columns: dict[str, Values], versions: Versions | None = None) -> None:
        self.ids = list(ids)
        self.columns = columns
        self.encoded = _objects([*(item.encode() for item in self.ids), b""])  # (n + 1,)
        self._rows = {item: row for row, item in enumerate(self.ids)}
        self._versions = versions

    def rows(self, items: Sequence[str]) -> NDArray[np.int64]:
        """(L,) the row of each item; n where the catalogue lacks it."""
        unknown = len(self.ids)
        find = self._rows.get
        return np.array([find(item, unknown) for item in items], np.int64)

    def at(self, rows: NDArray[np.int64], time_us: int) -> NDArray[np.int64]:
        """(L,) where in `columns` the values of rows stand at a moment."""
        return rows if self._versions is None else self._versions.rows(rows, time_us)  # -1 is the last: of missing values

    def values(self, time_us: int) -> dict[str, Values]:
        """`columns` at a moment: by feature the values of all n items."""
        if self._versions is None:
            return {name: values[:-1] for name, values in self.columns.items()}
        at = self.at(np.arange(len(self.ids)), time_us)
        return {name: values[at] for name, values in self.columns.items()}

    def period(self, time_us: int) -> int:
        """A number that changes where some item's values do."""
        return 0 if self._versions is None else self._versions.period(time_us)

    def __contains__(self, item: str) -> bool:
        return item in self._rows


@final
class Users:
    """The table of shoppers, sorted by id, and by time where rows hold from a time on.

    It stays as Arrow lays it: a request asks for one row, and there may be millions.
    """

    def __init__(self, table: pa.Table, features: tuple[GivenFeature, ...]) -> None:
        self._rows = _Rows(table, "user")
        self._features = features
        self._columns = {feature.name: _single(table[feature.name]) for feature in features}

    def __contains__(self, user: str) -> bool:
        return user in self._rows

    @property
    def ids(self) -> list[str]:
        """All ids, sorted."""
        ids: list[str] = pc.unique(self._rows.ids).to_pylist()
        return ids

    def sample(self, count: int, generator: np.random.Generator) -> list[str]:
        """Ids of at most `count` shoppers, drawn by lot, sorted."""
        ids = self._rows.ids
        rows = np.sort(generator.permutation(len(ids))[:count])
        return sorted({ids[row].as_py() for row in rows.tolist()})

    def values(self, user: str, time_us: int) -> dict[str, Values]:
        """By feature: (1,) float32, (1, size) float32 or (1,) bytes; missing values where the table has no row of the shopper by then."""
        row = self._rows.find(user, time_us)
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
    """Which shopper an id stands for, and which ids stand for a shopper."""

    def __init__(self, table: pa.Table | None = None) -> None:
        self._rows = None if table is None else _Rows(table, "id")
        self._users = None if table is None else _single(table["user"])

    def shopper(self, given: str, time_us: int) -> str:
        """The shopper whom an id stands for at a moment: itself where the table doesn't say."""
        if self._rows is None or self._users is None or not given:
            return given
        row = self._rows.find(given, time_us)
        return given if row is None else str(self._users[row].as_py())

    def ids_of(self, shopper: str) -> list[str]:
        """The ids that stand for a shopper, or did or will, sorted."""
        if self._rows is None or self._users is None:
            return []
        own = pc.equal(self._users, pa.scalar(shopper, self._users.type))
        return sorted(set(self._rows.ids.filter(own).to_pylist()))

    def all_ids(self, given: str, time_us: int) -> list[str]:
        """Every id of the shopper whom an id stands for at a moment: itself, theirs, and all that stand for them, or did or will."""
        account = self.shopper(given, time_us)
        return list(dict.fromkeys([given, account, *self.ids_of(account)]))


class _Rows:
    """Finds the row of an id in a sorted table."""

    def __init__(self, table: pa.Table, name: str) -> None:
        self.ids = _single(table[name])
        self._from = _single(table[FROM]) if FROM in table.column_names else None

    def __contains__(self, given: str) -> bool:
        row = self._first(given)
        return row < len(self.ids) and self.ids[row].as_py() == given

    def find(self, given: str, time_us: int) -> int | None:
        """The row that holds at a moment, or None."""
        if given not in self:
            return None
        first = self._first(given)
        if self._from is None:
            return first
        held = self._from
        after = bisect_right(range(len(self.ids)), given, lo=first, key=lambda at: self.ids[at].as_py())
        row = bisect_right(range(len(self.ids)), time_us, lo=first, hi=after, key=lambda at: held[at].as_py()) - 1
        return row if row >= first else None

    def _first(self, given: str) -> int:
        return bisect_left(range(len(self.ids)), given, key=lambda at: self.ids[at].as_py())


@final
class Catalogue:
    """Items and users of one ingestion, and the codes that histories know the items by: first those of the catalogue, by row."""

    def __init__(self, items: Items, users: Users, second_ids: SecondIds) -> None:
        self.items, self.users, self.second_ids, self.codes = items, users, second_ids, ItemCodes(items.ids)

    def encoded(self, rows: NDArray[np.int64], items: Sequence[str]) -> NDArray[np.object_]:
        """(L,) the ids of items, whose rows are known, as UTF-8."""
        found = self.items.encoded[rows]
        for place in np.flatnonzero(rows == len(self.items.ids)).tolist():
            found[place] = items[place].encode()
        return found

    def items_of_codes(self, codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
        """The rows (H,) and the ids (H,) of the items of a history."""
        unknown = len(self.items.ids)
        rows = np.where((codes >= 0) & (codes < unknown), codes, unknown)
        ids = self.items.encoded[rows]
        for place in np.flatnonzero(rows == unknown).tolist():
            ids[place] = self.codes.name(int(codes[place])).encode()
        return rows, ids


def load_catalogue(folder: Path, dataset: Dataset) -> Catalogue:
    """Read what ingestion's state holds in `catalogue/`; see `load_items`."""
    return Catalogue(load_items(folder, dataset), load_users(folder, dataset), load_second_ids(folder, dataset))


def load_items(folder: Path, dataset: Dataset) -> Items:
    """Read `catalogue/items.parquet` of ingestion's state; empty where the dataset has no catalogue.

    Raises:
        InputError: the file isn't there, isn't whole, or lacks a feature of the dataset file.
    """
    if dataset.items is None:
        return Items((), {})
    features = dataset.given("items")
    table = _read(folder / "catalogue" / "items.parquet", "item", features, dataset.items)
    columns = {feature.name: np.concatenate([_as_array(_single(table[feature.name]), feature), _missing(feature)]) for feature in features}
    if dataset.items.valid_from is None:
        return Items(table["item"].to_pylist(), columns)
    coded = _single(table["item"]).dictionary_encode()  # numbers come in the order in which they are met, which is that of the ids
    versions = Versions(coded.indices.to_numpy().astype(np.int64), _single(table[FROM]).to_numpy())
    return Items(coded.dictionary.to_pylist(), columns, versions)


def load_users(folder: Path, dataset: Dataset) -> Users:
    """Read `catalogue/users.parquet`, likewise."""
    if dataset.users is None:
        return Users(pa.table({"user": pa.array([], pa.string())}), ())
    features = dataset.given("users")
    return Users(_read(folder / "catalogue" / "users.parquet", "user", features, dataset.users), features)


def load_second_ids(folder: Path, dataset: Dataset) -> SecondIds:
    """Read `catalogue/identities.parquet`, likewise."""
    if dataset.identities is None:
        return SecondIds()
    return SecondIds(_read(folder / "catalogue" / "identities.parquet", "id", (), dataset.identities, what="second ids"))


def _read(path: Path, name: str, features: tuple[GivenFeature, ...], table: Table | Identities, *, what: str = "") -> pa.Table:
    try:
        read = pq.ParquetFile(path).read()
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"expected the {what or f'{name}s'} of the last ingestion in {path}, but they can't be read ({error}); ingest again"
        ) from error
    own = {name: pa.large_string(), **({FROM: pa.int64()} if table.valid_from is not None else {})}
    for column, dtype in (own | {feature.name: _arrow_type(feature) for feature in features}).items():
        if column not in read.column_names or read[column].type != dtype:
            found = read[column].type if column in read.column_names else "nothing"
            raise InputError(
                f"{path}: expected {dtype} in column {column!r}, found {found};"
                " use the dataset file that the state was ingested with, or ingest again"
            )
    return read


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
