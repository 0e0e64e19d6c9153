"""Profile a column of text: numbers, times, ids, categories, words, lists in one value."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import polars as pl

from components.profiling.samples.sampled_rows import SampledTable
from components.profiling.samples.time_formats import TimeNotation, recognise_times
from components.profiling.vocabulary import NULL_WORDS, ODD_NULL_WORDS

Content = Literal["empty", "integer", "decimal", "time", "text"]
_SEPARATORS = ("|", ",", ";", " ", "/")
_SAMPLE = 3000
_NUMBER_LIST = re.compile(r"^\[?\s*[+-]?\d*\.\d+(e[+-]?\d+)?([\s,;|]+[+-]?\d+(\.\d+)?(e[+-]?\d+)?){3,}\s*\]?$", re.IGNORECASE)


@dataclass(frozen=True)
class ColumnProfile:
    """Statistics of a column's sampled values.

    `values`: without missing ones, in the order of the rows. `distinct`: number of distinct ones. `lowest`, `highest`,
    `median`: of numbers. `mean_words`: of text. `separator`: of lists in one value. `parts`: number of their distinct
    elements. `null_words`: words for missing values beyond ingestion's defaults. `vector`: length of a list of numbers.
    """

    name: str
    rows: int
    values: pl.Series
    content: Content
    distinct: int
    missing: int = 0
    lowest: float = 0.0
    highest: float = 0.0
    median: float = 0.0
    mean_words: float = 1.0
    mean_length: float = 0.0
    time: TimeNotation | None = None
    native_time: bool = False
    separator: str = ""
    parts: int = 0
    mean_parts: float = 1.0
    null_words: tuple[str, ...] = ()
    vector: int | None = None

    @property
    def filled(self) -> int:
        """The number of values that aren't missing."""
        return len(self.values)

    @property
    def distinct_share(self) -> float:
        """The share of distinct values."""
        return self.distinct / self.filled if self.filled else 0.0

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self.content in ("integer", "decimal")

    @property
    def is_binary(self) -> bool:
        """Whether its values are 0 and 1, or true and false."""
        return 0 < self.distinct <= 2 and set(self.values.unique().str.to_lowercase()) <= {"0", "1", "0.0", "1.0", "true", "false"}


def profiled(table: SampledTable, *, now_us: int) -> dict[str, ColumnProfile]:
    """Profile each column of a table."""
    return {name: _profile(name, column, table, now_us) for name, column in table.columns.items()}


def _profile(name: str, column: pl.Series, table: SampledTable, now_us: int) -> ColumnProfile:
    lower = column.str.to_lowercase()
    values = column.filter(column.is_not_null() & ~lower.is_in(list(NULL_WORDS)))
    if not len(values):
        return ColumnProfile(name, len(column), values, "empty", 0, missing=len(column))
    odd = _odd_words(values)
    if odd:
        values = values.filter(~values.is_in(list(odd)))
    distinct = values.n_unique()
    base = ColumnProfile(name, len(column), values, "text", distinct, missing=len(column) - len(values), null_words=odd)
    notation = recognise_times(values, now_us=now_us)
    native = name in table.native_times
    numbers = values.cast(pl.Float64, strict=False)
    if numbers.null_count() <= 0.02 * len(values) and not native:
        there = numbers.drop_nulls()
        whole = bool((there == there.floor()).all())
        return _with(
            base,
            content="integer" if whole else "decimal",
            lowest=float(there.min() or 0),  # type: ignore[arg-type]
            highest=float(there.max() or 0),  # type: ignore[arg-type]
            median=float(there.median() or 0),  # type: ignore[arg-type]
            mean_length=_mean(values.str.len_chars()),
            time=notation,
        )
    if native or (notation is not None and notation.share > 0.9):
        return _with(base, content="time", time=notation, native_time=native)
    length = table.vectors.get(name) or _vector_length(values)
    separator, parts, mean_parts = ("|", *_parts(values, "|")) if name in table.arrays else _several(values)
    return _with(
        base,
        mean_words=_mean(values.head(_SAMPLE).str.count_matches(r"\S+")),
        mean_length=_mean(values.str.len_chars()),
        vector=length,
        separator=separator,
        parts=parts,
        mean_parts=mean_parts,
    )


def _with(profile: ColumnProfile, **changes: object) -> ColumnProfile:
    return ColumnProfile(**{**profile.__dict__, **changes})


def _mean(values: pl.Series) -> float:
    return float(values.mean() or 0)  # type: ignore[arg-type]


def _odd_words(values: pl.Series) -> tuple[str, ...]:
    """Find words for missing values beyond ingestion's defaults."""
    counts = values.value_counts(sort=True).head(30)
    return tuple(value for value in counts.to_series(0).to_list() if value.strip().lower() in ODD_NULL_WORDS)


def _vector_length(values: pl.Series) -> int | None:
    texts = values.head(50).to_list()
    if not all(_NUMBER_LIST.match(text.strip()) for text in texts):
        return None
    lengths = {len(re.findall(r"[+-]?\d*\.?\d+(?:e[+-]?\d+)?", text, re.IGNORECASE)) for text in texts}
    return lengths.pop() if len(lengths) == 1 else None


def _several(values: pl.Series) -> tuple[str, int, float]:
    """Find the separator of lists in one value: their elements repeat, and aren't sentences."""
    sample = values.unique().head(_SAMPLE)
    best: tuple[str, int, float] = ("", 0, 1.0)
    for separator in _SEPARATORS:
        with_it = float(sample.str.contains(separator, literal=True).mean() or 0)  # type: ignore[arg-type]
        if with_it < (0.15 if separator in "|;" else 0.3):
            continue
        parts, mean_parts = _parts(sample, separator)
        spaced = separator != " " and float(sample.str.contains(f"{separator} ", literal=True).mean() or 0) > 0.3  # type: ignore[arg-type]
        # Sentences have commas too, but their parts don't repeat; a path such as a/b/c has few first parts.
        returns = parts < 0.5 * len(sample) * mean_parts if len(sample) > 20 else True
        ids = _look_like_ids(sample, separator)
        if (returns or ids) and not (spaced and separator == ",") and (separator not in (" ", "/") or ids):
            best = (separator, parts, mean_parts)
            break
    return best


def _parts(values: pl.Series, separator: str) -> tuple[int, float]:
    counts: Counter[str] = Counter()
    texts = values.head(_SAMPLE).to_list()
    total = 0
    for text in texts:
        pieces = [piece.strip() for piece in text.split(separator) if piece.strip()]
        counts.update(pieces)
        total += len(pieces)
    return len(counts), total / max(len(texts), 1)


def _look_like_ids(values: pl.Series, separator: str) -> bool:
    """Return whether the parts are codes: without blanks, with digits, of similar length."""
    pieces = [piece for text in values.head(200).to_list() for piece in text.split(separator) if piece]
    coded = sum(any(sign.isdigit() for sign in piece) and not re.search(r"\s", piece) for piece in pieces)
    return bool(pieces) and coded > 0.95 * len(pieces)
