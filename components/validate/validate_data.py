"""All checks of a dataset file against its data."""

from collections.abc import Iterator

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.sources import ListRows, Rows
from components.ingest.events.deduplicate import tells_repetitions
from components.ingest.events.shown_lists import NOTHING_CHOSEN
from components.ingest.requests.claims import shows_lists
from components.ingest.sources.files import layout, matching
from components.ingest.tables.second_ids import RESOLVED
from components.validate.attribution import measure
from components.validate.check import EXAMPLES, Check, Verdict, of_rows, share
from components.validate.events import Tally, duplicates, tally, where_it_stands
from components.validate.frequent_values import frequent_values
from components.validate.rows import counted, event_reasons, number_columns
from components.validate.tables import TableFound, check_identities, check_table, empty_features
from components.validate.times import clock_checks, request_checks, window_checks

# Many items that the catalogue lacks are old ones; if half of all rows name such, the ids are of another kind.
_STRANGE_SHARE = 0.5
_ASKED = {"items": "candidates", "users": "requests"}


def validate(dataset: Dataset, data_root: str, *, now_us: int) -> list[Check]:
    """Check the data that a dataset file describes.

    Events are read and cleaned block by block with ingestion's own functions, so that a row counts as wrong here exactly if it does there;
    on any file system that Beam opens. Memory: a block, and about 50 bytes an event.

    Args:
        dataset: the dataset file.
        data_root: the folder in which its relative paths are looked up.
        now_us: the present in microseconds since 1970; events after it have a wrong clock.

    Returns:
        The checks, in the order of the table. A fault of the data is a failed check, not an exception.
    """
    tables = {
        name: check_table(table, dataset.given(name), data_root, what=name, now_us=now_us)
        for name, table in (("items", dataset.items), ("users", dataset.users))
        if table
    }
    if dataset.identities is not None:
        tables["identities"] = check_identities(dataset.identities, data_root)
    checks = [check for found in tables.values() for check in found.checks]
    missing = list(_missing_files(dataset, data_root))
    if missing:
        return [Check("events: files", "FAIL", f"{len(missing)} not found", tuple(missing[:EXAMPLES])), *checks]
    try:
        found = tally(dataset, data_root, now_us=now_us, tables=tables)
        empty_files = layout(dataset, data_root).empty_files
    except InputError as error:
        return [Check("events: files", "FAIL", "none can be read", (str(error),)), *checks]
    return [*_files(found, empty_files), *_events(dataset, found, tables), *checks]


def _missing_files(dataset: Dataset, data_root: str) -> Iterator[str]:
    for source in dataset.events:
        try:
            matching(source, data_root)
        except InputError as error:
            yield str(error)


def _files(found: Tally, empty_files: tuple[str, ...]) -> Iterator[Check]:
    rows, files = found.counts.numbers.get("rows read", 0), len(found.paths)
    names = {"files": "events: files can be read", "columns": "events: columns are there", "types": "events: columns are as declared"}
    for kind, name in names.items():
        problems = found.problems.get(kind, [])
        good = f"{rows:,} rows in {files:,} {'file' if files == 1 else 'files'}" if kind == "files" else "all"
        if problems:
            yield Check(name, "FAIL", f"{len(problems):,} {'problem' if len(problems) == 1 else 'problems'}", tuple(problems[:EXAMPLES]))
        else:
            yield Check(name, "PASS", good)
    if empty_files:
        yield Check("events: empty files", "WARN", f"{len(empty_files):,}", empty_files[:EXAMPLES])


def _events(dataset: Dataset, found: Tally, tables: dict[str, TableFound]) -> Iterator[Check]:
    rows = found.counts.numbers.get("rows read", 0)
    sources = {path: dataset.events[source] for path, source in found.paths.values()}
    yield from counted(found.counts, event_reasons(dataset), sources, numbers=number_columns(dataset.given("events")))
    events = sum(map(len, found.moments))
    if not events:
        yield Check("events are left", "FAIL", f"none of {rows:,} rows")
        return
    if not isinstance(dataset.candidates, Rows):
        yield _actions(dataset, found)
    for table, role in (("items", "item"), ("users", "user")):
        if table in tables and tables[table].ids is not None:
            wrong = found.unknown[table]
            of = "events and candidates" if isinstance(dataset.candidates, ListRows) else "events"
            total = events + (found.shown_rows if isinstance(dataset.candidates, ListRows) else 0)
            name = f"{role}s are in the {'catalogue' if role == 'item' else 'users'}"
            yield of_rows(name, wrong.rows, total, examples=wrong.examples, fail_share=_STRANGE_SHARE, of=of)
        if table in tables and tables[table].first is not None:
            name = f"{table}: have a row by the time of a request"
            early = found.early[table]
            yield of_rows(name, early.rows, found.asked[table], examples=early.examples, fail_share=_STRANGE_SHARE, of=_ASKED[table])
    if dataset.identities is not None:
        resolved = found.counts.numbers.get(RESOLVED, 0)
        verdict: Verdict = "PASS" if resolved else "WARN"
        yield Check("identities: occur in the events", verdict, f"{resolved:,} of {events:,} events ({share(resolved, events)})")
    yield from frequent_values(dataset, found.frequent, events, items=tables["items"].ids if "items" in tables else None)
    again = duplicates(found)
    if shows_lists(dataset):
        found.measured = measure(found.attributed, dataset, again["seq"])
    if tells_repetitions(dataset):
        examples = [where_it_stands(found, dataset, seq) for seq in again["seq"].head(EXAMPLES)]
        yield of_rows("exact duplicates (dropped)", len(again), events, examples=examples, fail_share=_STRANGE_SHARE, of="events")
    if any(source.columns.time for source in dataset.events):
        yield from clock_checks(dataset, found)
    yield from request_checks(dataset, found)
    yield from empty_features("events", found.empty, found.shown_rows)
    if dataset.windows.by == "time" and found.shown_rows:
        yield from window_checks(dataset, found)


def _actions(dataset: Dataset, found: Tally) -> Check:
    rows = dict(found.actions)
    if isinstance(dataset.candidates, ListRows):
        # A list from which nothing was chosen is no event of its action, but there it is.
        action, empty_handed = dataset.candidates.action, found.counts.numbers.get(f"left out: {NOTHING_CHOSEN}", 0)
        if empty_handed and action not in dataset.label_gains:
            rows[action] = rows.get(action, 0) + empty_handed
    seen = ", ".join(f"{name} {rows[name]:,}" for name in dataset.actions if name in rows)
    never = [name for name in dataset.actions if name not in rows]
    labels = [name for name in never if name in dataset.label_gains]
    if not never:
        return Check("actions occur", "PASS", seen)
    return Check("actions occur", "FAIL" if labels else "WARN", f"never: {', '.join(never)}; {seen}")
