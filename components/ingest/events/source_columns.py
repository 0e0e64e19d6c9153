"""Select the columns to read of events, catalogue and users, and decide which of them a file may lack."""

from collections.abc import Iterable, Sequence

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.features import GivenFeature
from components.contract.sources import EventSource, Files, Identities, ListRows, Table
from components.ingest.events.event_columns import event_features
from components.ingest.sources.column_selection import ColumnSelection
from components.ingest.sources.row_filter import columns_of

OPTIONAL_ROLES = frozenset({"session", "position", "order", "revenue", "quantity", "margin"})  # a row without one is a row
Absent = dict[str, str] | None  # of a file: column -> sentence for an error; None where its columns aren't known


def event_columns(dataset: Dataset, source: EventSource) -> ColumnSelection:
    """Return the columns to read of an event source.

    A feature is shown with requests: a source whose rows form none needn't have its column, and of the others some
    files may lack it.
    """
    forms = dataset.forms_requests(source)
    roles = source.columns.named()
    optional = {column for role, column in roles.items() if role in OPTIONAL_ROLES}
    if not forms and "request" in roles:
        optional.add(roles["request"])
    features = {feature.key for feature in event_features(dataset)}
    essential = {*roles.values(), *source.columns.time_columns} - optional
    if source.fill_down is not None:  # what is filled may be lacking where it may be anyway
        essential |= {source.fill_down.within} | ({*source.fill_down.columns} - optional - features)
    if source.where is not None:
        essential |= columns_of(source.where)
    if isinstance(dataset.candidates, ListRows) and forms:
        essential |= {dataset.candidates.items, *dataset.candidates.columns.values()}
    incidental = frozenset() if forms else frozenset(features - optional - essential)
    columns = essential | optional | features
    return ColumnSelection(tuple(sorted(columns)), frozenset(columns - essential), incidental)


def table_columns(table: Table, features: Iterable[GivenFeature]) -> ColumnSelection:
    """Return the columns to read of a table: its id, and those of features, which a file may lack if another has
    them."""
    named = (table.id, table.valid_from, table.property, table.value)
    essential = {*(name for name in named if name is not None), *_filled(table)}
    optional = set() if table.property is not None else {feature.key for feature in features} - essential
    return ColumnSelection(tuple(sorted(essential | optional)), frozenset(optional))


def identity_columns(table: Identities) -> ColumnSelection:
    """Return the columns to read of a table of second ids."""
    named = {name for name in (table.id, table.user, table.valid_from) if name is not None}
    return ColumnSelection(tuple(sorted(named | set(_filled(table)))))


def never_there(files: Sequence[Absent]) -> dict[str, str]:
    """Return the columns that none of some files has, each with the sentence for an error."""
    known = [absent for absent in files if absent is not None]
    if not known:
        return {}
    first, *others = known
    missing = {name: sentence for name, sentence in first.items() if all(name in other for other in others)}
    beside = f"; nor has any of the {len(others):,} other files that should" if others else ""
    return {name: sentence + beside for name, sentence in missing.items()}


def missing_event_columns(dataset: Dataset, files: Sequence[tuple[int, Absent]]) -> dict[str, str]:
    """Return the required columns that no file has: of a role among the files of its source, of a feature among all
    that form requests.

    Args:
        dataset: the dataset file.
        files: of each the index of its source, and the columns it lacks.
    """
    missing: dict[str, str] = {}
    for at, source in enumerate(dataset.events):
        roles = {column for role, column in source.columns.named().items() if role in OPTIONAL_ROLES | {"request"}}
        absent_roles = never_there([absent for index, absent in files if index == at])
        missing |= {name: sentence for name, sentence in absent_roles.items() if name in roles}
    features = {feature.key for feature in event_features(dataset)}
    forming = [absent for index, absent in files if dataset.forms_requests(dataset.events[index])]
    return missing | {name: sentence for name, sentence in never_there(forming).items() if name in features}


def require_columns(missing: dict[str, str]) -> None:
    """Raise InputError for the first missing column."""
    for sentence in missing.values():
        raise InputError(sentence)


def _filled(files: Files) -> tuple[str, ...]:
    return (files.fill_down.within, *files.fill_down.columns) if files.fill_down else ()
