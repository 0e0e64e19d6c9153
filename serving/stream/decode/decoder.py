"""Turn messages into clean events: all at once, and where that fails in smaller groups, down to single messages."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.features import Vector
from components.ingest.counts import LINE, Counts, merged
from components.ingest.events.clean_events import FrameContext, clean
from components.ingest.events.event_columns import event_features
from components.ingest.events.source_columns import event_columns
from components.ingest.sources.blocks import BLOCK_ROWS, FILE, ROW, Block
from components.ingest.sources.null_words import without_null_words
from components.ingest.sources.plain_columns import plain_columns
from components.ingest.sources.row_filter import kept_by
from serving.stream.decode.json_messages import JsonMessages, Scanned
from serving.stream.decode.merge_rows import merged_rows
from serving.stream.decode.rejections import SCHEMA, TOO_LONG, WRONG_TYPE, RejectedRows, rejected
from serving.stream.interface import Decoded

LONGEST_BYTES = 1_000_000  # of a message
_CHUNK_BYTES = 64 << 20  # that are parsed at a time
# Rows beyond those of a file's first block: where nothing in a file can be read, ingestion takes the dataset file to be
# wrong, and stops; of a stream each message stands alone.
_FIRST_ROW = BLOCK_ROWS
_LOCATION = re.compile(r"^stream(, from row [\d,]+)?[,:] ")  # in an error of ingestion
EMPTY_ARRAY = "left out: rows whose array to unnest is empty"


class Payloads(Protocol):
    """Convert payloads of a format to JSON objects."""

    def to_json(self, values: Sequence[bytes]) -> tuple[Sequence[bytes], NDArray[np.int64], pl.DataFrame]:
        """Return the objects, the index of each one's message, and the rejected messages (`rejections.SCHEMA`)."""
        ...


@dataclass
class _Parts:
    """What groups of messages gave."""

    events: list[pl.DataFrame] = field(default_factory=list)
    raw: list[pl.DataFrame] = field(default_factory=list)
    rejected: list[pl.DataFrame] = field(default_factory=list)
    counts: list[Counts] = field(default_factory=list)


@final
class EventDecoder:
    """A decoder for one source of a dataset file. Its result for a message doesn't depend on the messages beside it.

    Args:
        dataset: the dataset file.
        source_index: which of its `events`.
        payloads: convert other formats than JSON.
        described_by: further keys whose values `raw` has.
        longest_bytes: longer messages are rejected.

    Raises:
        InputError: the source fills values down from row to row, which messages can't.
    """

    def __init__(
        self,
        dataset: Dataset,
        source_index: int,
        payloads: Payloads | None = None,
        *,
        described_by: Sequence[str] = (),
        longest_bytes: int = LONGEST_BYTES,
    ) -> None:
        source = dataset.events[source_index]
        if source.fill_down is not None:
            raise InputError(
                f"{source.path}: `fill_down` takes values from the rows above, and a message stands alone; have its sender write them"
            )
        # The condition is applied here, where a value that is missing has no type yet that it could contradict.
        unconditional = tuple(each.model_copy(update={"where": None}) for each in dataset.events)
        self._dataset, self._source = dataset.model_copy(update={"events": unconditional}), source
        self._payloads, self._longest_bytes = payloads, longest_bytes
        self._selection = event_columns(dataset, source).columns
        beside = tuple(key for key in described_by if key not in self._selection)
        self._json = JsonMessages((*self._selection, *beside), source.unnest, beside)
        self._block = Block(0, source_index, "stream", 0, 0)
        self._vectors = {feature.key: feature.size for feature in event_features(dataset) if isinstance(feature, Vector)}

    def decode(self, values: Sequence[bytes], *, now_us: int) -> Decoded:
        """Return the events of some messages."""
        parts = _Parts()
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        long = np.flatnonzero(lengths > self._longest_bytes)
        if len(long):
            details = [f"expected at most {self._longest_bytes:,} bytes, got {length:,}" for length in lengths[long].tolist()]
            parts.rejected.append(rejected(long, TOO_LONG, details))
        for indices in _chunks(np.flatnonzero(lengths <= self._longest_bytes), lengths):
            objects, messages = _chosen(values, indices), indices
            if self._payloads is not None:
                objects, at, refused = self._payloads.to_json(objects)
                messages = indices[at]
                parts.rejected.append(refused.with_columns(row=pl.Series(indices[refused["row"].to_numpy()], dtype=pl.Int64)))
            self._decode(objects, messages, now_us, parts)
        return self._decoded(parts, len(values))

    def _decode(self, objects: Sequence[bytes], messages: NDArray[np.int64], now_us: int, parts: _Parts) -> None:
        """Decode JSON objects, `messages` being the index of each one's message."""
        if not len(messages):
            return
        scanned = self._json.scanned(objects)
        counts = RejectedRows()
        try:
            events, raw = self._cleaned(scanned, now_us, counts)
        except MemoryError:
            raise
        except Exception as fault:  # Polars and Arrow raise their own for values that nobody thought of.
            parts.rejected.append(_at(scanned.rejected, messages))
            if len(scanned.messages) == 1:
                text = _LOCATION.sub("", str(fault).strip().split("\n")[0])
                parts.rejected.append(rejected(messages[scanned.messages], WRONG_TYPE, [text or type(fault).__name__]))
                return
            for group in _groups(scanned):
                self._decode(_chosen(objects, group), messages[group], now_us, parts)
            return
        counts.rejected.append(scanned.rejected)
        parts.events.append(events.with_columns(seq=pl.Series(messages[events["seq"].to_numpy()], dtype=pl.Int64)))
        parts.raw.append(raw.with_columns(pl.Series(ROW, messages[raw[ROW].to_numpy()], dtype=pl.Int64)))
        parts.rejected += [_at(each, messages) for each in counts.rejected]
        parts.counts.append(counts)

    def _cleaned(self, scanned: Scanned, now_us: int, counts: RejectedRows) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return clean events and raw rows; `seq`, ROW and the rejected rows are indices of the scanned messages."""
        raw, empty = self._json.frame(scanned)
        counts.add("rows read", empty)
        counts.add(EMPTY_ARRAY, empty)
        message = raw[LINE].to_numpy()
        raw = raw.drop(LINE)
        events = self._clean_rows(raw, now_us, counts)
        counts.rejected = [
            each.with_columns(row=pl.Series(message[each["row"].to_numpy() - _FIRST_ROW], dtype=pl.Int64)) for each in counts.rejected
        ]
        seq = pl.Series(message[events["seq"].to_numpy() - _FIRST_ROW], dtype=pl.Int64)
        return events.with_columns(seq=seq), raw.with_columns(pl.Series(ROW, message, dtype=pl.Int64))

    def events_of(self, raw: pl.DataFrame, *, now_us: int) -> pl.DataFrame:
        """Return the events of rows that were in `Decoded.raw`, as windows of the event log have them; `seq` is the row's
        index."""
        missing = (pl.lit(None, pl.String).alias(name) for name in self._selection if name not in raw.columns)
        events = self._clean_rows(raw.with_columns(missing), now_us, RejectedRows())
        return events.with_columns(pl.col("seq") - _FIRST_ROW)

    def _clean_rows(self, raw: pl.DataFrame, now_us: int, counts: RejectedRows) -> pl.DataFrame:
        """Return clean events; `seq`, and the rejected rows of the counts, are the row's index from _FIRST_ROW on."""
        rows = raw.with_columns(
            pl.lit(self._block.path).alias(FILE), pl.int_range(_FIRST_ROW, _FIRST_ROW + len(raw), dtype=pl.Int64, eager=True).alias(ROW)
        )
        rows = without_null_words(rows, self._selection, self._source, counts)
        if self._source.where is not None:
            kept = kept_by(self._source.where, rows, self._block.path)
            counts.add("rows read", int((~kept).sum()))
            counts.add("left out: by the condition `where`", int((~kept).sum()))
            rows = rows.filter(kept)
        rows = self._with_whole_vectors(rows.with_columns(plain_columns(rows, self._block.path)), counts)
        return clean(rows, self._dataset, FrameContext(self._block, now_us), counts)

    def _with_whole_vectors(self, rows: pl.DataFrame, counts: RejectedRows) -> pl.DataFrame:
        """Reject rows whose vector has another size: ingestion stops at one, as it can't be told which size is right. An
        empty one is missing."""
        for column, size in self._vectors.items():
            if isinstance(rows[column].dtype, pl.List):
                rows = rows.with_columns(pl.when(pl.col(column).list.len() > 0).then(column))
                wrong = (rows[column].list.len() != size).fill_null(value=False)
                if wrong.any():
                    lengths, reason = rows[column].list.len().filter(wrong), f"column {column!r} hasn't {size} numbers"
                    counts.add(f"rejected: {reason}", len(lengths))
                    counts.rejected.append(rejected(rows[ROW].filter(wrong).to_numpy(), reason, [f"got {length}" for length in lengths]))
                    rows = rows.filter(~wrong)
        return rows

    def _decoded(self, parts: _Parts, number: int) -> Decoded:
        """Put the parts together in the order of messages; a message with an event isn't rejected."""
        events = pl.concat(parts.events) if parts.events else self._no_events()
        raw = merged_rows(parts.raw) if parts.raw else pl.DataFrame(schema={**dict.fromkeys(self._selection, pl.String), ROW: pl.Int64})
        refused = pl.concat(parts.rejected) if parts.rejected else pl.DataFrame(schema=SCHEMA)
        if len(parts.events) > 1:
            events, raw = events.sort("seq", maintain_order=True), raw.sort(ROW, maintain_order=True)
        if len(refused):
            with_event = np.zeros(number, np.bool_)
            with_event[events["seq"].to_numpy()] = True
            refused = refused.filter(~pl.Series(with_event[refused["row"].to_numpy()])).unique("row", keep="first").sort("row")
            kept = np.ones(number, np.bool_)
            kept[refused["row"].to_numpy()] = False
            raw = raw.filter(pl.Series(kept[raw[ROW].to_numpy()]))
        return Decoded(events, raw, refused, merged(parts.counts).numbers)

    def _no_events(self) -> pl.DataFrame:
        """Return the events of no message."""
        nothing = pl.DataFrame(schema={**dict.fromkeys(self._selection, pl.String), FILE: pl.String, ROW: pl.Int64})
        return clean(nothing, self._dataset, FrameContext(self._block, 0), Counts())


def _chunks(indices: NDArray[np.int64], lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Split indices so that the messages of a chunk have about _CHUNK_BYTES."""
    chunk = np.cumsum(lengths[indices]) // _CHUNK_BYTES
    cuts = np.flatnonzero(np.diff(chunk)) + 1
    yield from (part for part in np.split(indices, cuts) if len(part))


def _chosen(values: Sequence[bytes], indices: NDArray[np.int64]) -> Sequence[bytes]:
    return values if len(indices) == len(values) else [values[at] for at in indices.tolist()]


def _groups(scanned: Scanned) -> list[NDArray[np.int64]]:
    """Split messages by the kinds of their values, whose types differ then; where all are of the same kinds, in halves."""
    _, group = np.unique(scanned.kinds, axis=1, return_inverse=True)
    numbers = np.unique(group)
    if len(numbers) > 1:
        return [scanned.messages[group == number] for number in numbers]
    middle = len(scanned.messages) // 2
    return [scanned.messages[:middle], scanned.messages[middle:]]


def _at(refused: pl.DataFrame, messages: NDArray[np.int64]) -> pl.DataFrame:
    return refused.with_columns(row=pl.Series(messages[refused["row"].to_numpy()], dtype=pl.Int64))
