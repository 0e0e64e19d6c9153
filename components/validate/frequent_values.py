"""Find placeholder ids: one "user" with more events than a person has, and words that logs write for a missing id."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from components.contract.dataset import Dataset
from components.validate.check import EXAMPLES, Check, share

ROLES = ("user", "session", "request", "item")
_LEAST_SHARE = 0.01  # of all events, from which on a value is suspect
_TIMES = 20  # as many events as the 99.9th percentile of the other values
_TAIL = 0.999
_SUSPECTS = 5  # the most frequent values, that all others are the yardstick of
# With few others the percentile is the greatest of them, and a person may have a tenth of all events.
_MANY, _FEW = 1000, 10
_LEAST_SHARE_OF_FEW, _TIMES_OF_FEW = 0.1, 8
_FAIL_SHARE = 0.1  # that no person has where there are many
_WORDS = frozenset(
    ("anonymous", "anon", "guest", "unknown", "empty", "missing", "nobody", "nouser", "no user", "none", "nil", "null")
) | frozenset(
    ("notset", "not set", "unset", "undefined", "default", "test", "false", "nan", "na", "n/a", "#n/a", "-1", "0", "-", "--", "?")
)
_BRACKETS = "<>()[]{} "
_ZERO_UUID = r"0{8}-?(0{4}-?){3}0{12}|0{5,}"
_KEPT_BY_FRAME = 128  # values of a frame whose text is kept; one with a hundredth of all events is among them
_PARTS = 32
_WHAT = {"user": "a shopper", "session": "a visit", "request": "a request", "item": "an item"}


@dataclass
class FrequentValues:
    """The number of events of each value of a role, by the value's hash, and the text of the most frequent ones."""

    parts: list[pl.DataFrame] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)

    def add(self, values: pl.Series) -> None:
        """Count the values of a frame; "" isn't one."""
        counted = values.filter(values != "").rename("value").to_frame().group_by("value").len("events")
        if not len(counted):
            return
        counted = counted.with_columns(pl.col("value").hash().alias("hash"), pl.col("events").cast(pl.Int64))
        top = counted.top_k(_KEPT_BY_FRAME, by="events")
        self.texts |= dict(top.select("hash", "value").iter_rows())
        self.parts.append(counted.select("hash", "events"))
        if len(self.parts) >= _PARTS:
            self.parts = [self.counted()]

    def counted(self) -> pl.DataFrame:
        """Return hash and events of each value."""
        return pl.concat(self.parts).group_by("hash").agg(pl.col("events").sum())


def frequent_values(dataset: Dataset, frequent: Mapping[str, FrequentValues], events: int, *, items: pl.Series | None) -> Iterator[Check]:
    """Yield a check for each role with ids.

    Of the five most frequent values those are named that have more than 1 % of all events and more than 20 times the
    99.9th percentile of the other values; with fewer than 1,000 others, more than 10 % and 8 times the most frequent of
    them. A word that logs write for a missing id is named where it has more events than that percentile.

    Args:
        dataset: names the roles' columns.
        found: of each role.
        events: how many there are.
        items: of the catalogue, if there is one; they are what they are, however often they are bought.
    """
    for role in ROLES:
        columns = [source.columns.named()[role] for source in dataset.events if role in source.columns.named()]
        if not columns or not frequent[role].parts:
            continue
        suspects = suspicious(frequent[role], events)
        if role == "item" and items is not None:
            listed = set(items.filter(items.is_in([each.text for each in suspects])))
            suspects = [each for each in suspects if each.text not in listed]
        name = f"{role}s: no value stands for nobody"
        if not suspects:
            yield Check(name, "PASS", f"{len(frequent[role].counted()):,} values")
            continue
        names = ", ".join(repr(each.text) for each in suspects[:EXAMPLES])
        remedy = f"if it is a word for none, say `null_values: {{{columns[0]}: [{names}]}}`"
        if role == "user" and any(source.missing_user == "reject" for source in dataset.events):
            remedy += " and `missing_user: guest`, which keeps the events"
        failing = role != "item" and any(each.events > _FAIL_SHARE * events and each.many for each in suspects)
        examples = tuple(f"{each.text!r}: {each.events:,} events ({share(each.events, events)})" for each in suspects[:EXAMPLES])
        found_text = f"{len(suspects):,} with more events than {_WHAT[role]} has; {remedy}"
        yield Check(name, "FAIL" if failing else "WARN", found_text, examples)


@dataclass(frozen=True)
class Suspect:
    """A value, its events, and whether there were many to compare it with."""

    text: str
    events: int
    many: bool


def suspicious(frequent: FrequentValues, events: int) -> list[Suspect]:
    """Return the likely placeholders, the most frequent first."""
    counted = frequent.counted().sort("events", descending=True)
    sizes = counted["events"].to_numpy()
    others = sizes[_SUSPECTS:]
    if len(others) < _FEW:
        return []
    many = len(others) >= _MANY
    usual = float(np.quantile(others, _TAIL)) if many else float(others[0])
    least, times = (_LEAST_SHARE, _TIMES) if many else (_LEAST_SHARE_OF_FEW, _TIMES_OF_FEW)
    suspects = []
    for at, (key, size) in enumerate(counted.filter(pl.col("events") > usual).head(_KEPT_BY_FRAME).iter_rows()):
        text = frequent.texts.get(key)
        by_size = at < _SUSPECTS and size > least * events and size > times * usual
        if text is not None and (by_size or _is_word(text)):
            suspects.append(Suspect(text, size, many))
    return suspects


def _is_word(text: str) -> bool:
    return text.strip(_BRACKETS).lower() in _WORDS or bool(re.fullmatch(_ZERO_UUID, text))
