"""Read the table of users' second ids, and replace second ids in the events by the users."""

import polars as pl

from components.contract.errors import InputError
from components.contract.sources import Identities
from components.ingest.counts import Counts
from components.ingest.events.event_columns import LOGGED_USER
from components.ingest.events.source_columns import identity_columns
from components.ingest.formats.readers import frames
from components.ingest.sources.id_text import ids_of
from components.ingest.sources.raw_rows import column_location
from components.ingest.tables.catalogue import rows_at
from components.ingest.tables.table_rows import ID, REPEATED_IDS, table_blocks, with_ids
from components.state.versions import FROM

USER, _USER = "user", "__user__"
RESOLVED = "resolved: events of a second id"


def read_identities(table: Identities, data_root: str, counts: Counts) -> pl.DataFrame:
    """Read the table: ID, FROM where rows hold from a time on, and USER; sorted by ID and FROM. Rows that lack one are
    rejected and counted.

    Raises:
        InputError: no file, a file that can't be read, no row, a missing column, or, where rows always hold, an id with
            two users.
    """
    whole = read_identity_rows(table, data_root, counts)
    twice = two_users(whole, [ID]) if table.valid_from is None else whole.clear()
    if len(twice):
        name, users = twice.select(ID, USER).row(0)
        raise InputError(
            f"{table.path}: expected one {table.user!r} for each {table.id!r}, got {', '.join(map(repr, users[:3]))} for {name!r}"
            f" ({len(twice):,} such); keep the one that is meant, or give `valid_from`, the column that says since when"
        )
    by = [ID] if table.valid_from is None else [ID, FROM]
    single = whole.unique(by, keep="last", maintain_order=True).sort(by)
    counts.add(f"left out: {REPEATED_IDS}{' at one time' if table.valid_from else ''}", len(whole) - len(single))
    counts.add("rows kept", len(single))
    return single


def read_identity_rows(table: Identities, data_root: str, counts: Counts) -> pl.DataFrame:
    """Read all rows with an id and a user, in the order of the files.

    Raises:
        InputError: no file, a file that can't be read, a missing column, or no row.
    """
    parts = []
    for block in table_blocks(table, data_root):
        for frame in frames(block, table, identity_columns(table), counts):
            counts.add("rows read", len(frame))
            rows = with_ids(frame, table, counts)
            rows = rows.with_columns(ids_of(rows[table.user], where=column_location(rows, rows[table.user])).alias(_USER))
            nobody = rows[_USER] == ""
            if nobody.any():
                counts.reject("no user", rows.filter(nobody).drop(ID, FROM, _USER, strict=False))
            parts.append(rows.filter(~nobody).select(ID, *({FROM} & set(rows.columns)), pl.col(_USER).alias(USER)))
    if not any(map(len, parts)):
        raise InputError(
            f"{table.path}: expected rows with an id in column {table.id!r} and a user in {table.user!r}, found none;"
            f" is this the right data folder ({data_root})?"
        )
    return pl.concat(parts)


def two_users(rows: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Return the ids that stand for more than one user, at one time where `by` has FROM: `by` and the users, sorted."""
    users = rows.group_by(by).agg(pl.col(USER).unique().sort())
    return users.filter(pl.col(USER).list.len() > 1).sort(by)


def resolve_users(events: pl.DataFrame, identities: pl.DataFrame, counts: Counts) -> pl.DataFrame:
    """Replace second ids in clean events by the user they stand for at the event's time, and keep them as LOGGED_USER.

    Only once: the user isn't looked up as a second id again.

    Args:
        events: with `user` and `time`.
        identities: see `read_identities`.
        counts: gets how many events have another user by it.
    """
    rows = rows_at(events["user"], events["time"].to_numpy(), identities)
    counts.add(RESOLVED, int((rows >= 0).sum()))
    users = identities[USER].gather(pl.Series(rows, dtype=pl.Int64).replace(-1, None))
    second = pl.when(users.is_not_null()).then("user")
    return events.with_columns(pl.coalesce(users.alias("user"), "user"), second.alias(LOGGED_USER))
