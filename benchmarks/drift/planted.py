"""Faults planted into a window, and how a reason must name each."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.drift.shops import Requests
from components.contract.dataset import Dataset
from components.drift.decision import Action, Reason
from components.drift.faults.log_faults import DELAY
from components.drift.sketch.window_sketch import ColumnValues

_HOUR_US = 3_600_000_000

Values = "NDArray[np.float32] | pa.Array[Any]"


@dataclass(frozen=True)
class Fault:
    """A fault: how it is planted, the action it asks for, and the kind and subject of the reason that names it."""

    name: str
    plant: Callable[[Requests], Requests]
    actions: tuple[Action, ...]
    kinds: tuple[str, ...]
    subject: str

    def named_by(self, reasons: tuple[Reason, ...]) -> bool:
        """Return whether one of the reasons names the fault."""
        return any(reason.kind in self.kinds and reason.subject == self.subject for reason in reasons)


def faults(dataset: Dataset) -> tuple[Fault, ...]:
    """Return the faults that can be planted into what was logged; another taste is the simulator's to plant."""
    from_items = {feature.name for feature in dataset.features if getattr(feature, "table", "") == "items"}
    train = (Action.RETRAIN_WARM, Action.RETRAIN_FULL)
    return (
        Fault("broken feature", on("price", lambda values: values * 0), (Action.FREEZE,), ("broken feature",), "price"),
        Fault("new categories", on("brand", _new_brands), train, ("new categories",), "brand"),
        Fault("price shift, 10 %", on("price", lambda values: values * 1.1), train, ("shifted scale",), "price"),
        Fault("changed unit", on("price", lambda values: values * 100), (Action.FREEZE,), ("changed unit",), "price"),
        Fault("missing join, 30 %", _lost_items(from_items), (Action.FREEZE,), ("missing join",), "items"),
        Fault("clock skew, 2 h", _later(2), (Action.FREEZE,), ("clock skew",), "requests"),
        Fault("clock skew, 90 s", on(DELAY, lambda values: values - 90), (Action.FREEZE,), ("clock skew",), "interactions"),
        Fault("half of a data centre", _half, (Action.FREEZE,), ("lost requests",), "requests"),
    )


def on(name: str, change: Callable[[Any], Any]) -> Callable[[Requests], Requests]:
    """Return a fault that changes the values of one column."""

    def plant(requests: Requests) -> Requests:
        columns = [
            replace(column, values=_like(column, change(column.values))) if column.name == name else column
            for column in requests.block.columns
        ]
        return replace(requests, block=replace(requests.block, columns=columns))

    return plant


def _like(column: ColumnValues, values: Any) -> Any:
    return values.astype(np.float32) if isinstance(column.values, np.ndarray) else values


def _new_brands(values: "pa.Array[Any]") -> "pa.Array[Any]":
    """A tenth of the rows have one of twenty new brands."""
    rows = np.arange(len(values))
    new = pa.array([f"Neu {row % 20}".encode() for row in rows], values.type)
    return pa.compute.if_else(pa.array(rows % 10 == 3), new, values)


def _lost_items(names: set[str]) -> Callable[[Requests], Requests]:
    def plant(requests: Requests) -> Requests:
        """Blank what is joined from the catalogue for three in ten candidates."""
        columns = []
        candidates = sum(requests.lists.row_lengths)
        lost = np.arange(candidates) % 10 < 3
        for column in requests.block.columns:
            if column.name in names and len(column.values) == candidates:
                blank: Any
                if isinstance(column.values, np.ndarray):
                    blank = np.where(lost, np.float32(np.nan), column.values)
                else:
                    blank = pa.compute.if_else(pa.array(lost), pa.scalar(b"", column.values.type), column.values)
                column = replace(column, values=blank)
            columns.append(column)
        return replace(requests, block=replace(requests.block, columns=columns))

    return plant


def _later(hours: int) -> Callable[[Requests], Requests]:
    def plant(requests: Requests) -> Requests:
        return replace(requests, block=replace(requests.block, times_us=requests.block.times_us + hours * _HOUR_US))

    return plant


def _half(requests: Requests) -> Requests:
    """Lose every second request, whoever asked."""
    return requests.filtered(np.arange(len(requests.block.times_us)) % 2 == 0)
