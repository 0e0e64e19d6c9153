"""Faults planted into a window, and how a reason must name each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benchmarks.drift.shops import Requests
from components.contract.dataset import Dataset
from components.drift.check import Window
from components.drift.decision import Action, Reason
from components.drift.faults.log_faults import DELAY
from components.drift.sketch.window_sketch import ColumnValues

_HOUR_US = 3_600_000_000

Plant = Callable[[Requests], Requests]
Rows = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault: how it is planted, the actions it may ask for, and the kinds and subjects of the reason that names it.

    Attributes:
        late: it begins when two thirds of the window have passed.
    """

    name: str
    plant: Plant
    actions: tuple[Action, ...]
    kinds: tuple[str, ...]
    subjects: tuple[str, ...]
    late: bool = False

    def window(self, requests: Requests) -> Window:
        """Return the window of these requests with the fault in it."""
        if not self.late:
            return self.plant(requests).window()
        times = requests.block.times_us
        is_late = times >= times.min() + (times.max() - times.min()) * 2 // 3
        window = requests.filtered(~is_late).window()
        late = self.plant(requests.filtered(is_late)).window()
        window.sketch.merge(late.sketch)
        window.quality.merge(late.quality)
        return window

    def named_by(self, reasons: Sequence[Reason]) -> bool:
        """Return whether one of the reasons names the fault."""
        return any(reason.kind in self.kinds and reason.subject in self.subjects for reason in reasons)


_FREEZE = (Action.FREEZE,)
_TRAIN = (Action.RETRAIN_WARM, Action.RETRAIN_FULL)


def faults(dataset: Dataset) -> tuple[Fault, ...]:
    """Return the faults that can be planted into what was logged; another taste is the simulator's to plant."""
    return (*_broken(), *_categories(), *_scales(), *_clocks(), *_joins(dataset), *_lost(), *_labels())


def _broken() -> list[Fault]:
    def fault(name: str, column: str, change: Callable[[Any], Any], *, late: bool = False) -> Fault:
        return Fault(
            name=f"broken feature: {name}",
            plant=on(column, change),
            actions=_FREEZE,
            kinds=("broken feature",),
            subjects=(column,),
            late=late,
        )

    return [
        fault("price 0", "price", lambda values: values * 0),
        fault("price 9.99", "price", lambda values: values * 0 + 9.99),
        fault("price missing", "price", lambda values: values * np.nan),
        fault("price 0 in half of the rows", "price", lambda values: np.where(_some(values, 5), 0, values)),
        fault("price 0, late", "price", lambda values: values * 0, late=True),
        fault("device constant", "device", lambda values: _where(np.ones(len(values), bool), "mobile", values)),
        fault("device missing", "device", lambda values: _where(np.ones(len(values), bool), "", values)),
        fault("brand constant, late", "brand", lambda values: _where(np.ones(len(values), bool), values[0].as_py(), values), late=True),
        fault("age band missing in 30 %", "age_band", lambda values: _where(_some(values, 3), "", values)),
        fault("query missing", "query", lambda values: values * np.nan),
        fault("user_ctr 0", "user_ctr_1d", lambda values: values * 0),
        fault("title missing in 20 %", "title", lambda values: np.where(_some(values, 2), np.nan, values)),
        fault("item_clicks 0", "item_clicks_1d", lambda values: values * 0),
    ]


def _categories() -> list[Fault]:
    def fault(name: str, column: str, change: Callable[[Any], Any], *, encoding: bool = False) -> Fault:
        return Fault(
            name=f"{'changed encoding' if encoding else 'new categories'}: {name}",
            plant=on(column, change),
            actions=_FREEZE if encoding else _TRAIN,
            kinds=("changed encoding",) if encoding else ("new categories",),
            subjects=(column,),
        )

    def renamed(old: str, new: str) -> Callable[[Any], Any]:
        return lambda values: _where(np.array(pc.equal(values, pa.scalar(old.encode(), values.type))), new, values)

    return [
        fault("10 % of the brands", "brand", lambda values: _new(values, 1)),
        fault("3 % of the brands", "brand", lambda values: _where(np.arange(len(values)) % 33 == 3, "Neu", values)),
        fault("a tag in 10 %", "tags", lambda values: _where(_some(values, 1), "new tag", values)),
        fault("a country in 10 %", "country", lambda values: _where(_some(values, 1), "ZZ", values)),
        fault("a brand renamed", "brand", lambda values: _where(np.array(pc.equal(values, _most(values))), "Renamed", values)),
        fault("a page renamed", "page", renamed("search", "results")),
        fault("brands in capitals", "brand", lambda values: _text(pc.utf8_upper(values.cast(pa.string())), values), encoding=True),
        fault("tags capitalized", "tags", lambda values: _text(pc.utf8_capitalize(values.cast(pa.string())), values), encoding=True),
        fault("a device in capitals", "device", renamed("mobile", "MOBILE"), encoding=True),
        fault("countries by another code", "country", lambda values: _prefixed(values, "c-"), encoding=True),
        fault("item ids anew", "item", lambda values: _prefixed(values, "x"), encoding=True),
    ]


def _scales() -> list[Fault]:
    def fault(factor: float, *, some: int = 10, late: bool = False) -> Fault:
        shifted = 2 / 3 < factor < 1.5
        where = ("" if some == 10 else f" in {some}0 % of the rows") + (", late" if late else "")
        return Fault(
            name=f"{'price shift' if shifted else 'changed unit'}: times {factor:.4g}{where}",
            plant=on("price", lambda values: np.where(_some(values, some), values * factor, values)),
            actions=_TRAIN if shifted else _FREEZE,
            kinds=("shifted scale",) if shifted else ("changed unit",),
            subjects=("price",),
            late=late,
        )

    return [
        *(fault(factor) for factor in (1.03, 1.05, 1.1, 1.15, 0.9, 1.3, 100, 0.01, 1 / 1.609, 60, 1000)),
        fault(1.1, late=True),
        fault(100, some=3),
        fault(100, late=True),
        fault(1 / 1.609, late=True),
    ]


def _clocks() -> list[Fault]:
    def hours(later: int) -> Fault:
        return Fault(
            name=f"clock skew: {later:+} h",
            plant=lambda requests: replace(requests, block=replace(requests.block, times_us=requests.block.times_us + later * _HOUR_US)),
            actions=_FREEZE,
            kinds=("clock skew",),
            subjects=("requests",),
        )

    def seconds(later: float, some: int) -> Fault:
        return Fault(
            name=f"clock skew: {later:+} s{'' if some == 10 else f' of {some}0 %'}",
            plant=on(DELAY, lambda values: np.where(_some(values, some), values + later, values)),
            actions=_FREEZE,
            kinds=("clock skew",),
            subjects=("interactions",),
        )

    return [
        *(hours(each) for each in (1, -1, 2, -3, 12)),
        seconds(-90, 10),
        seconds(-90, 3),
        seconds(30, 10),
        seconds(-3, 10),
        replace(seconds(30, 10), name="clock skew: +30 s, late", late=True),
    ]


def _joins(dataset: Dataset) -> list[Fault]:
    def fault(table: str, tenths: int, *, late: bool = False) -> Fault:
        names = {feature.name for feature in dataset.features if getattr(feature, "table", "") == table}
        return Fault(
            name=f"missing join: {table}, {tenths}0 %{', late' if late else ''}",
            plant=_unjoined(names, tenths),
            actions=_FREEZE,
            kinds=("missing join",),
            subjects=(table,),
            late=late,
        )

    return [fault("items", 3), fault("items", 10), fault("items", 1), fault("users", 3), fault("users", 10), fault("items", 10, late=True)]


def _lost() -> list[Fault]:
    def fault(name: str, kept: Callable[[Requests], Rows], *, late: bool = False) -> Fault:
        return Fault(
            name=f"lost requests: {name}",
            plant=lambda requests: requests.filtered(kept(requests)),
            actions=_FREEZE,
            kinds=("lost requests",),
            subjects=("requests",),
            late=late,
        )

    return [
        fault("every second", lambda each: np.arange(len(each.block.times_us)) % 2 == 0),
        fault("of half of the shoppers", lambda each: each.block.shoppers // np.uint64(64) % np.uint64(2) == 0),
        fault("of a third of the shoppers", lambda each: each.block.shoppers % np.uint64(3) != 0),
        fault("of a quarter of the shoppers", lambda each: each.block.shoppers // np.uint64(64) % np.uint64(4) != 0),
        fault("every second, late", lambda each: np.arange(len(each.block.times_us)) % 2 == 0, late=True),
    ]


def _labels() -> list[Fault]:
    def fault(name: str, kept: Callable[[Any], Rows], *, column: str = "label", subject: str = "labels", late: bool = False) -> Fault:
        def plant(requests: Requests) -> Requests:
            lists = requests.lists
            if column == "label":
                lists = replace(lists, labels=np.where(kept(lists.labels), lists.labels, 0).astype(np.float32))
            return replace(on(column, lambda values: np.where(kept(values), values, 0))(requests), lists=lists)

        return Fault(
            name=f"missing labels: {name}", plant=plant, actions=_FREEZE, kinds=("missing labels",), subjects=(subject,), late=late
        )

    return [
        fault("all", lambda values: np.zeros(len(values), bool)),
        fault("half", lambda values: _some(values, 5)),
        fault("all, late", lambda values: np.zeros(len(values), bool), late=True),
        fault("carts", lambda values: np.zeros(len(values), bool), column="label_cart", subject="label_cart"),
    ]


def on(name: str, change: Callable[[Any], Any]) -> Plant:
    """Return a fault that changes the values of one column."""

    def plant(requests: Requests) -> Requests:
        columns = [
            replace(column, values=_like(column, change(column.values))) if column.name == name and len(column.values) else column
            for column in requests.block.columns
        ]
        return replace(requests, block=replace(requests.block, columns=columns))

    return plant


def _like(column: ColumnValues, values: Any) -> Any:
    return values.astype(np.float32) if isinstance(column.values, np.ndarray) else values


def _some(values: Any, tenths: int) -> Rows:
    """Choose a part of the rows, whatever is in them."""
    return np.random.default_rng(len(values)).random(len(values)) * 10 < tenths


def _where(rows: Rows, value: Any, values: "pa.Array[Any]") -> "pa.Array[Any]":
    return pc.if_else(pa.array(rows), pa.scalar(value.encode() if isinstance(value, str) else value, values.type), values)


def _most(values: "pa.Array[Any]") -> "pa.Scalar[Any]":
    """Return the most frequent value."""
    return max(pc.value_counts(values), key=lambda each: each["counts"].as_py())["values"]


def _new(values: "pa.Array[Any]", tenths: int) -> "pa.Array[Any]":
    """Give a part of the rows one of twenty new values."""
    new = pa.array([f"Neu {row % 20}".encode() for row in range(len(values))]).cast(values.type)
    return pc.if_else(pa.array(_some(values, tenths)), new, values)


def _text(texts: "pa.Array[Any]", values: "pa.Array[Any]") -> "pa.Array[Any]":
    return texts.cast(values.type)


def _prefixed(values: "pa.Array[Any]", prefix: str) -> "pa.Array[Any]":
    texts = values.cast(pa.string())
    return _text(pc.if_else(pc.equal(texts, ""), texts, pc.binary_join_element_wise(prefix, texts, "")), values)


def _unjoined(names: set[str], tenths: int) -> Plant:
    def plant(requests: Requests) -> Requests:
        """Blank what is joined from a table for some of its rows; a history keeps what it has."""
        columns = []
        for column in requests.block.columns:
            if column.name in names and len(column.values):
                lost = np.random.default_rng(tenths).random(requests.lists.row_lengths.sum())[: len(column.values)] * 10 < tenths
                blank: Any
                if column.name == "tags":  # by element: the elements of a lost row are gone
                    lost = np.random.default_rng(tenths).random(len(column.values)) * 10 < tenths
                if isinstance(column.values, np.ndarray):
                    blank = np.where(lost, np.float32(np.nan), column.values)
                else:
                    blank = _where(lost, "", column.values)
                column = replace(column, values=blank)
            columns.append(column)
        return replace(requests, block=replace(requests.block, columns=columns))

    return plant
