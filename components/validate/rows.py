"""What ingestion would reject, mend or leave out, as checks: each reason that it counts is a line, also one that isn't known here."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from components.contract.dataset import Dataset
from components.contract.features import GivenFeature, Number, Vector
from components.contract.sources import Format, Impressions, ListRows, Rows
from components.ingest.amounts import MAY_BE_NEGATIVE
from components.ingest.counts import Counts
from components.ingest.event_columns import event_features
from components.validate.check import Check, of_rows
from components.validate.place import told

_REJECTED, _KEPT, _LEFT_OUT = "rejected: ", "kept ", "left out: "
_BY_DESIGN = (f"{_LEFT_OUT}by the condition `where`", f"{_LEFT_OUT}ignored actions")


@dataclass(frozen=True)
class Reason:
    """A check's name, what the names of its counts contain, and the columns worth seeing in an example."""

    check: str
    part: str
    columns: tuple[str, ...] = ()


def counted(counts: Counts, reasons: Iterable[Reason], formats: Mapping[str, Format | None], *, prefix: str = "") -> Iterator[Check]:
    """Checks from what was counted.

    Args:
        counts: of one pass over the rows.
        reasons: checks that pass where nothing of theirs was counted.
        formats: the declared format of each file.
        prefix: before each check's name.
    """
    rows = counts.numbers.get("rows read", 0)
    total = rows - sum(counts.numbers.get(name, 0) for name in _BY_DESIGN)
    wrong = {name: number for name, number in counts.numbers.items() if name.startswith((_REJECTED, _KEPT))}
    for reason in (*reasons, Reason("", "")):
        matching = [name for name in wrong if reason.part in name]
        # What no reason asked for gets a line of its own.
        for names in [matching] if reason.check else [[name] for name in matching]:
            number = sum(wrong.pop(name) for name in names)
            samples = [sample for name in names for sample in counts.samples.get(name.removeprefix(_REJECTED).removeprefix(_KEPT), [])]
            examples = [told(sample, reason.columns, formats.get(sample.get("file", ""))) for sample in samples]
            if names and names[0].startswith(f"{_KEPT}of guests"):
                yield Check(f"{prefix}{names[0]}", "PASS", f"{number:,} of {total:,} rows")
            else:
                yield of_rows(prefix + (reason.check or names[0]), number, total, examples=examples)
    for name, number in counts.numbers.items():
        if name.startswith(_LEFT_OUT):
            yield Check(f"{prefix}{name}", "FAIL" if number == rows else "PASS", f"{number:,} of {rows:,} rows")


def event_reasons(dataset: Dataset) -> Iterator[Reason]:
    """What to look for in the events of a dataset."""

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
    shown = dataset.given("events", side="item") if isinstance(dataset.candidates, ListRows) else ()
    yield from feature_reasons((*event_features(dataset), *shown))


def feature_reasons(features: Iterable[GivenFeature]) -> Iterator[Reason]:
    """What to look for in the columns of features."""
    features = tuple(dict.fromkeys(features))
    numbers = [feature for feature in features if isinstance(feature, Number)]
    for feature in numbers:
        if feature.minimum is not None:
            yield Reason(f"{feature.name} isn't below {feature.minimum:g}", f" {feature.name} is below", (feature.key,))
    if numbers:
        yield Reason("numbers are numbers", "isn't a number")
    if any(not isinstance(feature, Number | Vector) for feature in features):
        yield Reason("texts aren't too long", "cut at ")
