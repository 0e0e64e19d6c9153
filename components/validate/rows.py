"""Report what ingestion would reject, change or leave out, as checks: each reason it counts is a line, also an
unexpected one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from components.contract.dataset import Dataset
from components.contract.features import GivenFeature, Number, Vector
from components.contract.sources import Files, Impressions, ListRows, Rows
from components.ingest.counts import Counts
from components.ingest.events.amounts import MAY_BE_NEGATIVE
from components.ingest.events.event_columns import event_features
from components.ingest.formats.csv_rows import SWALLOWED
from components.ingest.formats.readers import ABSENT
from components.ingest.sources.null_words import COUNTED
from components.validate.check import EXAMPLES, Check, of_rows, share
from components.validate.row_location import describe_sample

_REJECTED, _KEPT, _LEFT_OUT = "rejected: ", "kept ", "left out: "
_AMBIGUOUS = ("'NA'", "'0'")  # Namibia, and the id of the first number
_BY_DESIGN = (f"{_LEFT_OUT}by the condition `where`", f"{_LEFT_OUT}ignored actions")


@dataclass(frozen=True)
class Reason:
    """A check's name, a part of the names of its counts, and the columns to show in an example."""

    check: str
    part: str
    columns: tuple[str, ...] = ()


def counted(
    counts: Counts,
    reasons: Iterable[Reason],
    sources: Mapping[str, Files | None],
    *,
    prefix: str = "",
    numbers: frozenset[str] = frozenset(),
) -> Iterator[Check]:
    """Convert counts to checks.

    Args:
        counts: of one pass over the rows.
        reasons: checks that pass where nothing of theirs was counted.
        sources: how the dataset file declares each file.
        prefix: before each check's name.
        numbers: columns of numbers, in which no word is a value.
    """
    rows = counts.numbers.get("rows read", 0)
    total = rows - sum(counts.numbers.get(name, 0) for name in _BY_DESIGN)
    wrong = {name: number for name, number in counts.numbers.items() if name.startswith((_REJECTED, _KEPT))}
    for reason in (*reasons, Reason("", "")):
        matching = [name for name in wrong if reason.part in name]
        # A count that matches no reason gets a line of its own.
        for names in [matching] if reason.check else [[name] for name in matching]:
            number = sum(wrong.pop(name) for name in names)
            samples = [sample for name in names for sample in counts.samples.get(name.removeprefix(_REJECTED).removeprefix(_KEPT), [])]
            null_column = names[0].partition(COUNTED)[2].rpartition(" = ")[0] if names else ""
            columns = (null_column,) if null_column else reason.columns
            examples = [describe_sample(sample, columns, sources.get(sample.get("file", ""))) for sample in samples]
            if null_column:
                yield _null_word(prefix + names[0], number, total, examples, column="" if null_column in numbers else null_column)
            elif names and names[0].startswith(f"{_KEPT}of guests"):
                yield Check(f"{prefix}{names[0]}", "PASS", f"{number:,} of {total:,} rows")
            elif names and names[0].startswith(f"{_KEPT}{ABSENT}"):
                # Some files have it: of a log that grew a column that is as it should be.
                yield Check(f"{prefix}{names[0]}", "WARN", f"{number:,} of {total:,} rows", tuple(examples[:EXAMPLES]))
            elif names and names[0] == f"{_KEPT}{SWALLOWED}":
                text = f'{number:,} lines beside {total:,} rows; is a quote missing, or are quotes text (`quote: ""`)?'
                yield Check(f"{prefix}{names[0]}", "FAIL", text, tuple(examples[:EXAMPLES]))
            else:
                yield of_rows(prefix + (reason.check or names[0]), number, total, examples=examples)
    for name, number in counts.numbers.items():
        if name.startswith(_LEFT_OUT):
            yield Check(f"{prefix}{name}", "FAIL" if number == rows else "PASS", f"{number:,} of {rows:,} rows")


def _null_word(name: str, number: int, total: int, examples: list[str], *, column: str) -> Check:
    """Check a null word of a column: by design, except for words that are values elsewhere."""
    result = f"{number:,} of {total:,} rows ({share(number, total)})"
    if not column or name.rpartition(" = ")[2] not in _AMBIGUOUS:
        return Check(name, "PASS", result)
    return Check(name, "WARN", f"{result}; where it is a value, say `null_values: {{{column}: []}}`", tuple(examples[:EXAMPLES]))


def number_columns(features: Iterable[GivenFeature]) -> frozenset[str]:
    """Return the columns that features of numbers are read from."""
    return frozenset(feature.key for feature in features if isinstance(feature, Number))


def event_reasons(dataset: Dataset) -> Iterator[Reason]:
    """Yield the reasons to check in the events of a dataset."""

    def columns(*roles: str) -> tuple[str, ...]:
        return tuple({source.columns.named()[role]: None for source in dataset.events for role in roles if role in source.columns.named()})

    if columns("time"):
        yield Reason("times can be read", "can't be parsed", columns("time"))
        yield Reason("clocks: events in the future", "lies in the future", columns("time"))
    if isinstance(dataset.candidates, Rows):
        yield Reason("labels are numbers", "label isn't a number", columns("label"))
    else:
        yield Reason("actions are known", "unknown action", columns("action"))
        yield Reason("events have an item", "no item", columns("action", "item", "user"))
        if any(source.missing_user == "reject" for source in dataset.events):
            yield Reason("events have a user", "no user", columns("action", "item", "time"))
    if isinstance(dataset.candidates, Impressions):
        yield Reason("impressions have a request", "impression without a request", columns("time", "user", "item"))
    if isinstance(dataset.candidates, ListRows):
        yield Reason("lists are even", "of unequal length", (dataset.candidates.items, *dataset.candidates.columns.values()))
    if columns("position", "order"):
        yield Reason("positions and orders are whole numbers", "isn't a whole number", columns("position", "order"))
    for amount in dataset.amounts:
        yield Reason(f"{amount} is a number", f"as missing: {amount} isn't a number", columns("item", amount))
        if amount not in MAY_BE_NEGATIVE:
            yield Reason(f"{amount} of actions with a label isn't below 0", f"with a {amount} below 0", columns("item", amount))
    shown = dataset.input_features("events", side="item") if isinstance(dataset.candidates, ListRows) else ()
    yield from feature_reasons((*event_features(dataset), *shown))


def feature_reasons(features: Iterable[GivenFeature], *, column: str | None = None) -> Iterator[Reason]:
    """Yield the reasons to check in the columns of features, or in the one column that holds their values."""
    features = tuple(dict.fromkeys(features))
    numbers = [feature for feature in features if isinstance(feature, Number)]
    for feature in numbers:
        if feature.minimum is not None:
            yield Reason(f"{feature.name} isn't below {feature.minimum:g}", f" {feature.name} is below", (column or feature.key,))
    if numbers:
        yield Reason("numbers are numbers", "isn't a number")
    if any(not isinstance(feature, Number | Vector) for feature in features):
        yield Reason("texts aren't too long", "cut at ")
