"""Run all checks of a dataset file against its data."""

from collections.abc import Iterator

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.sources import ListRows, Rows
from components.ingest.events.deduplicate import detects_duplicates
from components.ingest.events.shown_lists import NOTHING_CHOSEN
from components.ingest.requests.claims import shows_lists
from components.ingest.sources.files import layout, matching
from components.ingest.tables.second_ids import RESOLVED
from components.validate.attribution import measure
from components.validate.check import EXAMPLES, Check, Verdict, of_rows, share
from components.validate.events import EventScan, duplicates, locate_event, scan_events
from components.validate.frequent_values import frequent_values
from components.validate.rows import counted, event_reasons, number_columns
from components.validate.tables import TableCheck, check_identities, check_table, empty_features
from components.validate.times import clock_checks, request_checks, window_checks

# Many items that the catalogue lacks are old ones; if half of all rows name such, the ids are of another kind.
_STRANGE_SHARE = 0.5
_QUERIED_BY = {"items": "candidates", "users": "requests"}


def validate(dataset: Dataset, data_root: str, *, now_us: int) -> list[Check]:
    """Check the data that a dataset file describes.

    Events are read and cleaned block by block with ingestion's own functions, so that a row counts as wrong here
    exactly if it does there; on any file system that Beam opens. Memory: a block, and about 50 bytes an event.

    Args:
        dataset: the dataset file.
        data_root: the folder of its relative paths.
        now_us: the present in microseconds since 1970; events after it have a wrong clock.

    Returns:
        The checks, in the order of the table. A fault of the data is a failed check, not an exception.
    """
    tables = {
        name: check_table(table, dataset.input_features(name), data_root, what=name, now_us=now_us)
        for name, table in (("items", dataset.items), ("users", dataset.users))
        if table
    }
    if dataset.identities is not None:
        tables["identities"] = check_identities(dataset.identities, data_root)
    checks = [check for scan in tables.values() for check in scan.checks]
    missing = list(_missing_files(dataset, data_root))
    if missing:
        return [Check("events: files", "FAIL", f"{len(missing)} not found", tuple(missing[:EXAMPLES])), *checks]
    try:
        scan = scan_events(dataset, data_root, now_us=now_us, tables=tables)
        empty_files = layout(dataset, data_root).empty_files
    except InputError as error:
        return [Check("events: files", "FAIL", "none can be read", (str(error),)), *checks]
    return [*_files(scan, empty_files), *_events(dataset, scan, tables), *checks]


def _missing_files(dataset: Dataset, data_root: str) -> Iterator[str]:
    for source in dataset.events:
        try:
            matching(source, data_root)
        except InputError as error:
            yield str(error)


def _files(scan: EventScan, empty_files: tuple[str, ...]) -> Iterator[Check]:
    rows, files = scan.counts.numbers.get("rows read", 0), len(scan.paths)
    names = {"files": "events: files can be read", "columns": "events: columns are there", "types": "events: columns are as declared"}
    for kind, name in names.items():
        problems = scan.problems.get(kind, [])
        good = f"{rows:,} rows in {files:,} {'file' if files == 1 else 'files'}" if kind == "files" else "all"
        if problems:
            yield Check(name, "FAIL", f"{len(problems):,} {'problem' if len(problems) == 1 else 'problems'}", tuple(problems[:EXAMPLES]))
        else:
            yield Check(name, "PASS", good)
    if empty_files:
        yield Check("events: empty files", "WARN", f"{len(empty_files):,}", empty_files[:EXAMPLES])


def _events(dataset: Dataset, scan: EventScan, tables: dict[str, TableCheck]) -> Iterator[Check]:
    rows = scan.counts.numbers.get("rows read", 0)
    sources = {path: dataset.events[source] for path, source in scan.paths.values()}
    yield from counted(scan.counts, event_reasons(dataset), sources, numbers=number_columns(dataset.input_features("events")))
    events = sum(map(len, scan.moments))
    if not events:
        yield Check("events are left", "FAIL", f"none of {rows:,} rows")
        return
    if not isinstance(dataset.candidates, Rows):
        yield _actions(dataset, scan)
    for table, role in (("items", "item"), ("users", "user")):
        if table in tables and tables[table].ids is not None:
            wrong = scan.unknown[table]
            noun = "events and candidates" if isinstance(dataset.candidates, ListRows) else "events"
            total = events + (scan.shown_rows if isinstance(dataset.candidates, ListRows) else 0)
            name = f"{role}s are in the {'catalogue' if role == 'item' else 'users'}"
            yield of_rows(name, wrong.rows, total, examples=wrong.examples, fail_share=_STRANGE_SHARE, noun=noun)
        if table in tables and tables[table].first is not None:
            name = f"{table}: have a row by the time of a request"
            early = scan.early[table]
            yield of_rows(
                name, early.rows, scan.queried[table], examples=early.examples, fail_share=_STRANGE_SHARE, noun=_QUERIED_BY[table]
            )
    if dataset.identities is not None:
        resolved = scan.counts.numbers.get(RESOLVED, 0)
        verdict: Verdict = "PASS" if resolved else "WARN"
        yield Check("identities: occur in the events", verdict, f"{resolved:,} of {events:,} events ({share(resolved, events)})")
    yield from frequent_values(dataset, scan.frequent, events, items=tables["items"].ids if "items" in tables else None)
    again = duplicates(scan)
    if shows_lists(dataset):
        scan.measured = measure(scan.attributed, dataset, again["seq"])
    if detects_duplicates(dataset):
        examples = [locate_event(scan, dataset, seq) for seq in again["seq"].head(EXAMPLES)]
        yield of_rows("exact duplicates (dropped)", len(again), events, examples=examples, fail_share=_STRANGE_SHARE, noun="events")
    if any(source.columns.time for source in dataset.events):
        yield from clock_checks(dataset, scan)
    yield from request_checks(dataset, scan)
    yield from empty_features("events", scan.empty, scan.shown_rows)
    if dataset.windows.by == "time" and scan.shown_rows:
        yield from window_checks(dataset, scan)


def _actions(dataset: Dataset, scan: EventScan) -> Check:
    rows = dict(scan.actions)
    if isinstance(dataset.candidates, ListRows):
        # A list from which nothing was chosen is no event of its action, but there it is.
        action, empty_handed = dataset.candidates.action, scan.counts.numbers.get(f"left out: {NOTHING_CHOSEN}", 0)
        if empty_handed and action not in dataset.label_gains:
            rows[action] = rows.get(action, 0) + empty_handed
    seen = ", ".join(f"{name} {rows[name]:,}" for name in dataset.actions if name in rows)
    never = [name for name in dataset.actions if name not in rows]
    labels = [name for name in never if name in dataset.label_gains]
    if not never:
        return Check("actions occur", "PASS", seen)
    return Check("actions occur", "FAIL" if labels else "WARN", f"never: {', '.join(never)}; {seen}")
