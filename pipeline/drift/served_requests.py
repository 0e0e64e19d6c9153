"""Read decisions of the exposure log as requests with the columns that examples have, as far as the log holds them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.contract.columns import Column, input_columns
from components.contract.dataset import Dataset
from components.contract.sources import Impressions
from components.drift.faults.log_faults import DELAY
from components.drift.sketch.example_block import LENGTH, column_values, of_items, sketched
from components.drift.sketch.quality_sums import RankedLists, cells
from components.drift.sketch.window_sketch import ColumnValues, RequestBlock
from components.evaluation.metrics.id_hashes import hashed
from pipeline.drift.interactions import Interactions, hashed_keys

SCORE = "score"
_LABEL, _POSITION = "label", "position"
_ANSWERED = ("", "state")  # what `degraded` begins with where the model answered

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class SeenCandidates:
    """The N candidates of a block that shoppers saw, by request.

    Attributes:
        requests: [N] index of the request.
        candidates: [N] index in the request's list of items.
        items: [N] index among the items of all requests.
        positions: [N] place in the order answered, from 0.
    """

    requests: Ints
    candidates: Ints
    items: Ints
    positions: Ints


@dataclass(frozen=True)
class Served:
    """Requests with their columns; and as ranked lists those that the release answered, None where candidates are sampled."""

    requests: RequestBlock
    lists: RankedLists | None


@final
class ServedRequests:
    """Turn tables of decisions into blocks of requests.

    Args:
        dataset: of the log.
        interactions: of the same log.
        counts: takes what was read and what was dropped.
        version: of the release whose scores are taken, as the log writes it; None: of whichever release answered.
    """

    def __init__(self, dataset: Dataset, interactions: Interactions, counts: "Counter[str]", *, version: str | None) -> None:
        self._dataset, self._interactions, self._counts, self._version = dataset, interactions, counts, version
        texts = {column.name for column in input_columns(dataset) if column.axis == "request" and column.dtype == "string"}
        self._slices = tuple(names[0] for names in dataset.slices if len(names) == 1 and names[0] in texts)
        of_candidates = {column.name for column in input_columns(dataset) if column.axis == "candidate" and column.dtype == "string"}
        sliced = tuple(names[0] for names in dataset.slices if len(names) == 1 and names[0] in of_candidates)
        self._pairs = tuple((name, own) for name in self._slices for own in sliced)
        self._columns = sketched(dataset)
        # Sampled candidates are none that anybody saw: what was served can't be compared with them.
        self._has_lists = isinstance(dataset.candidates, Impressions)
        self.left_out: dict[str, str] = {}
        if not self._has_lists:
            self.left_out = {
                column.name: "training's candidates are sampled, those served aren't"
                for column in self._columns
                if column.axis == "candidate"
            }

    @property
    def schema(self) -> pa.Schema:
        """The fields of a decision that are read."""
        texts = {name: pa.string() for name in ("request", "user", "version", "degraded")}
        lists = {"items": pa.list_(pa.string()), "scores": pa.list_(pa.float32()), "order": pa.list_(pa.int64())}
        numbers = {name: pa.int64() for name in ("time", "shown", "first_position")}
        return pa.schema({**texts, **lists, **numbers, "features": pa.struct(list(self._feature_fields()))})

    def read(self, decisions: pa.Table) -> Served:
        """Return the requests of a table of decisions, with the columns of those whose features were logged."""
        decisions = decisions.combine_chunks()
        times = decisions["time"].to_numpy().astype(np.int64)
        shoppers = _shoppers(decisions)
        seen = self._seen(decisions, times)
        scores = self._scores(decisions, seen)
        columns = [*self._sent(decisions, seen), ColumnValues(SCORE, scores[~np.isnan(scores)], seen.requests[~np.isnan(scores)])]
        self._counts["requests"] += len(decisions)
        self._counts["candidates seen"] += len(seen.items)
        self._count_degraded(decisions["degraded"])
        if not self._has_lists:
            return Served(RequestBlock(shoppers, times, tuple(columns)), None)
        items = _flat(decisions["items"]).take(pa.array(seen.items))
        outcomes = self._interactions.outcomes(_keys(decisions, seen.requests, items), times[seen.requests], self._dataset)
        known = ~np.isnan(outcomes.labels)
        self._counts["candidates whose label may still come"] += int((~known).sum())
        columns += [
            ColumnValues(_LABEL, outcomes.labels[known], seen.requests[known]),
            *(ColumnValues(f"{_LABEL}_{action}", each[known], seen.requests[known]) for action, each in outcomes.by_action.items()),
            ColumnValues(DELAY, outcomes.delays_s, seen.requests[outcomes.candidates]),
        ]
        lists = self._lists(decisions, shoppers, times, seen, scores, outcomes.labels)
        return Served(RequestBlock(shoppers, times, tuple(columns)), lists)

    def _lists(
        self,
        decisions: pa.Table,
        shoppers: NDArray[np.uint64],
        times: Ints,
        seen: SeenCandidates,
        scores: NDArray[np.float32],
        labels: NDArray[np.float32],
    ) -> RankedLists:
        """Return the lists that the release ranked; a request whose features weren't logged is in no slice."""
        unscored = np.bincount(seen.requests, weights=np.isnan(scores), minlength=len(times))
        lengths = np.bincount(seen.requests, minlength=len(times))
        ranked = (unscored == 0) & (lengths > 0)
        self._counts["lists that the release ranked"] += int(ranked.sum())
        kept, features = ranked[seen.requests], decisions["features"].combine_chunks()
        slices = {}
        for name in self._slices:
            values = pc.list_element(pc.fill_null(features.field(name), [""]), 0).fill_null("").to_pylist()
            slices[name] = [value for value, is_ranked in zip(values, ranked.tolist(), strict=True) if is_ranked]
        pairs = {pair: each[kept] for pair, each in self._cells(features, seen).items()}
        return RankedLists(shoppers[ranked], times[ranked], lengths[ranked], scores[kept], labels[kept], slices, pairs)

    def _cells(self, features: pa.StructArray, seen: SeenCandidates) -> dict[tuple[str, str], Ints]:
        """Return the cells [N] of the seen candidates, -1 where features weren't logged."""
        values = {}
        for name in {name for pair in self._pairs for name in pair}:
            if name in self._slices:
                values[name] = pc.list_element(pc.fill_null(features.field(name), [""]), 0).fill_null("").take(pa.array(seen.requests))
            else:
                empty: list[list[str]] = [[]]
                lists = pc.list_element(pc.fill_null(features.field(name), empty), 0)
                starts, lengths = _extents(lists)
                inside = seen.candidates < lengths[seen.requests]
                at = np.where(inside, starts[seen.requests] + seen.candidates, -1)
                values[name] = pc.fill_null(_flat(lists).take(pa.array(at, mask=~inside)), "")
        return {pair: cells(values[pair[0]], values[pair[1]]) for pair in self._pairs}

    def _seen(self, decisions: pa.Table, times: Ints) -> SeenCandidates:
        """Find the candidates on the places that count as seen; where the page reports them, those that it reported."""
        starts, lengths = _extents(decisions["items"])
        order_starts, order_lengths = _extents(decisions["order"])
        shown = decisions["shown"].fill_null(0).to_numpy()
        by_page = shown == 0
        number = np.where(by_page, order_lengths, np.minimum(shown, order_lengths))
        requests = np.repeat(np.arange(len(times)), number)
        within = np.arange(len(requests)) - np.repeat(np.cumsum(number) - number, number)
        candidates = _flat(decisions["order"]).to_numpy()[order_starts[requests] + within]
        positions = within + decisions["first_position"].fill_null(0).to_numpy()[requests]
        kept = candidates < lengths[requests]
        reported = by_page[requests] & kept
        if reported.any():
            items = _flat(decisions["items"]).take(pa.array(starts[requests[reported]] + candidates[reported]))
            kept[reported] = self._interactions.is_reported(_keys(decisions, requests[reported], items))
        requests, candidates, positions = requests[kept], candidates[kept], positions[kept]
        return SeenCandidates(requests, candidates, starts[requests] + candidates, positions)

    def _scores(self, decisions: pa.Table, seen: SeenCandidates) -> NDArray[np.float32]:
        """Return the release's scores of the seen candidates, NaN where it didn't answer."""
        starts, lengths = _extents(decisions["scores"])
        if self._version is not None:
            lengths = np.where(pc.equal(decisions["version"], self._version).fill_null(False).to_numpy(), lengths, 0)
        scores = np.append(_flat(decisions["scores"]).to_numpy(zero_copy_only=False).astype(np.float32), np.float32(np.nan))
        at = np.where(seen.candidates < lengths[seen.requests], starts[seen.requests] + seen.candidates, len(scores) - 1)
        return scores[at]

    def _sent(self, decisions: pa.Table, seen: SeenCandidates) -> Iterator[ColumnValues]:
        """Yield the columns of the requests whose features were logged, cut to the candidates that were seen."""
        features = decisions["features"].combine_chunks()
        sampled = np.flatnonzero(features.is_valid().to_numpy(zero_copy_only=False))
        self._counts["requests with features"] += len(sampled)
        if not len(sampled):
            return
        features = features.take(pa.array(sampled))
        rank = np.full(len(decisions), -1)
        rank[sampled] = np.arange(len(sampled))
        chosen = rank[seen.requests] >= 0
        requests, candidates = seen.requests[chosen], seen.candidates[chosen]
        items = hashed(_flat(decisions["items"]).take(pa.array(seen.items[chosen])))
        history = _single(features.field(LENGTH)) if features.type.get_field_index(LENGTH) >= 0 else None
        if history is not None and len(history) == len(sampled):
            yield ColumnValues(LENGTH, history.to_numpy(zero_copy_only=False).astype(np.float32), sampled)
        for column in self._columns:
            if column.name in self.left_out or column.role == "label":
                continue
            if column.name == _POSITION:  # in examples the place that was shown, in what is sent the one asked for
                yield ColumnValues(_POSITION, seen.positions[chosen].astype(np.float32), requests)
                continue
            rows = _single(features.field(column.name))
            if len(rows) != len(sampled) or rows.null_count:
                self._counts[f"requests without {column.name} among their features"] += len(sampled)
            elif column.axis == "request":
                yield column_values(self._dataset, column, rows.flatten() if column.size > 1 else rows, sampled)
            elif column.axis == "candidate":
                yield of_items(self._elements(column, rows, rank[requests], candidates, requests), items)
            elif history is not None:
                lengths = history.to_numpy(zero_copy_only=False).astype(np.int64)
                some = np.flatnonzero(lengths > 0)
                yield self._elements(column, rows, some, lengths[some] - 1, sampled[some])

    def _elements(self, column: Column, rows: "pa.Array[Any]", row: Ints, at: Ints, requests: Ints) -> ColumnValues:
        """Return element `at` [N] of the list in row `row` [N]."""
        starts, lengths = _extents(rows)
        inside = at < lengths[row]
        values = rows.flatten().take(pa.array(starts[row[inside]] + at[inside]))
        return column_values(self._dataset, column, values.flatten() if column.size > 1 else values, requests[inside])

    def _feature_fields(self) -> Iterator[pa.Field]:
        yield pa.field(LENGTH, pa.list_(pa.int64()))
        for column in self._columns:
            if column.role != "label":
                kind = {"string": pa.string(), "int64": pa.int64(), "float32": pa.float32()}[column.dtype]
                kind = pa.list_(kind) if column.size > 1 else kind
                yield pa.field(column.name, pa.list_(kind if column.axis == "request" else pa.list_(kind)))

    def _count_degraded(self, degraded: "pa.ChunkedArray[Any]") -> None:
        for entry in pc.value_counts(degraded.fill_null("")).to_pylist():
            cause = entry["values"].partition(";")[0]
            if cause not in _ANSWERED:
                self._counts[f"requests that no model answered: {cause}"] += entry["counts"]


def _shoppers(decisions: pa.Table) -> NDArray[np.uint64]:
    """Hash each request's shopper as that of its example is; see `components.evaluation.metrics.arrow_columns.shoppers`."""
    user = decisions["user"].fill_null("").cast(pa.binary()).combine_chunks()
    time = decisions["time"].cast(pa.string()).cast(pa.binary())
    request = pc.binary_join_element_wise(decisions["request"].fill_null("").cast(pa.binary()), time, b"@")
    return hashed(pc.if_else(pc.equal(user, b""), request, user).combine_chunks())


def _keys(decisions: pa.Table, requests: Ints, items: "pa.Array[Any]") -> NDArray[np.uint64]:
    return hashed_keys(decisions["request"].fill_null("").take(pa.array(requests)), items)


def _extents(lists: Any) -> tuple[Ints, Ints]:
    """Return start and length of each list [R] in the flat values; of null both are those of an empty list."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False) if len(lists) else np.empty(0, np.int64)
    lengths = np.asarray(lengths, np.int64)
    return np.cumsum(lengths) - lengths, lengths


def _flat(lists: Any) -> Any:
    """Return the values of all lists."""
    return pc.list_flatten(lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists)


def _single(batches: "pa.Array[Any]") -> "pa.Array[Any]":
    """Return what a batch of one holds, for each of several; fewer where one isn't of one."""
    return batches.flatten()
