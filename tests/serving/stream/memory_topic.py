"""A topic in memory, whose position is the caller's as with every source; and a decoder of its messages."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from components.contract.errors import SourceUnavailable
from serving.stream.decode.rejections import NOT_JSON, SCHEMA, TOO_LONG
from serving.stream.interface import Assignment, Decoded, Messages
from tests.serving.stream.shop import Row, events

ROW = "__row__"


class MemoryTopic:
    """Partitions of payloads; `fails` says how often `poll` doesn't answer."""

    def __init__(self, partitions: Mapping[str, Sequence[bytes]], assignment: Assignment, *, fails: int = 0) -> None:
        self.partitions, self._assignment, self._fails = {name: list(values) for name, values in partitions.items()}, assignment, fails
        self.deleted = dict.fromkeys(partitions, 0)
        self._at: dict[str, int] = {}
        self._lost: dict[str, int] = {}
        self.closed = False
        self.shown: list[dict[str, int]] = []

    def poll(self, *, most: int, timeout_s: float) -> list[Messages]:
        if self._fails:
            self._fails -= 1
            raise SourceUnavailable("the topic gave no answer")
        if not self._at:
            for name, offset in self._assignment.assigned(list(self.partitions)).items():
                begin = self.deleted[name]
                self._lost[name] = max(0, begin - offset) if offset is not None else 0
                self._at[name] = begin if offset is None else max(begin, offset)
        parts = []
        for name, values in self.partitions.items():
            at, end = self._at[name], min(len(values), self._at[name] + most // len(self.partitions))
            if at < end:
                offsets = np.arange(at, end)
                parts.append(Messages(name, offsets, end, np.full(end - at, 10**15 + at), values[at:end], self._lost.pop(name, 0)))
                self._at[name] = end
        return parts

    def seek(self, partition: str, offset: int) -> None:
        self._at[partition] = offset

    def lag(self) -> dict[str, int]:
        return {name: len(values) - self._at[name] for name, values in self.partitions.items()}

    def committed(self, positions: Mapping[str, int]) -> None:
        self.shown.append(dict(positions))

    def finished(self) -> bool:
        return bool(self._at) and not any(self.lag().values())

    def close(self) -> None:
        self.closed = True


class RowDecoder:
    """Messages are JSON arrays of an event's columns; "poison" is none, and "fault" makes the decoder fail."""

    def decode(self, values: Sequence[bytes], *, now_us: int) -> Decoded:
        rows: list[Row] = []
        kept, bad, reasons = [], [], []
        for index, value in enumerate(values):
            if value == b'"fault"':
                raise ZeroDivisionError("a fault of the decoder's own")
            if value == b'"poison"' or len(value) > 500:
                bad.append(index)
                reasons.append(NOT_JSON if len(value) < 500 else TOO_LONG)
                continue
            rows.append(tuple(json.loads(value)))
            kept.append(index)
        frame = events(rows).with_columns(seq=pl.Series(kept, dtype=pl.Int64))
        raw = frame.select("time", "user", "item", "action").with_columns(pl.Series(ROW, kept, dtype=pl.Int64))
        rejected = pl.DataFrame(
            {"row": bad, "reason": reasons, "detail": [""] * len(bad)},
            schema=SCHEMA,
        )
        return Decoded(frame, raw, rejected, {"rows read": len(values)})


def payloads(rows: Sequence[Row]) -> list[bytes]:
    return [json.dumps(row).encode() for row in rows]
