"""Simulated shops as windows of the drift check: examples as ingestion gives them, with scores of trees trained on the first days."""

from dataclasses import dataclass
from pathlib import Path

import lightgbm as lgb
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.ingest.ingest import DATASET
from components.contract.load import load_dataset
from components.drift.check import Window
from components.drift.faults.log_faults import DELAY
from components.drift.sketch.example_block import request_block
from components.drift.sketch.examples import batches
from components.drift.sketch.quality_sums import RankedLists, cells
from components.drift.sketch.window_sketch import ColumnValues, RequestBlock
from components.ingest.requests.splits import SPLITS
from components.simulator import ShopConfig

WARM_UP_DAYS = 14
"""First days of a log, in which its histories and counts fill; the trees are trained on them."""

_HOUR_US = 3_600_000_000
_TREES = {
    "objective": "binary",
    "num_leaves": 15,
    "learning_rate": 0.1,
    "verbosity": -1,
    "num_threads": 1,
    "seed": 0,
    "deterministic": True,
}


@dataclass(frozen=True)
class Requests:
    """Requests of a shop in the order of time: what is sketched, and their ranked lists."""

    block: RequestBlock
    lists: RankedLists

    def between(self, first_hour: int, end_hour: int) -> "Requests":
        """Return the requests from one hour since 1970 to another."""
        hours = self.block.times_us // _HOUR_US
        return self.filtered((hours >= first_hour) & (hours < end_hour))

    def filtered(self, kept: NDArray[np.bool_]) -> "Requests":
        """Return the requests at which `kept` [R] is true."""
        of_candidates = np.repeat(kept, self.lists.row_lengths)
        lists = RankedLists(
            self.lists.shoppers[kept],
            self.lists.times_us[kept],
            self.lists.row_lengths[kept],
            self.lists.scores[of_candidates],
            self.lists.labels[of_candidates],
            {name: np.array(values)[kept].tolist() for name, values in self.lists.slices.items()},
            {pair: cells[of_candidates] for pair, cells in self.lists.cells.items()},
        )
        return Requests(self.block.filtered(kept), lists)

    def window(self) -> Window:
        """Return the window of these requests."""
        window = Window()
        window.sketch.add(self.block)
        window.quality.add(self.lists)
        return window


def read_shop(examples: Path, logs: Path, config: ShopConfig) -> Requests:
    """Read an ingested shop's requests after the warm-up."""
    dataset = load_dataset(DATASET)
    read = [batch for split in SPLITS for batch in batches(str(examples), split)]
    table = pa.Table.from_batches(read).combine_chunks()
    table = table.take(pa.compute.sort_indices(table.column("time").combine_chunks().flatten()))
    (batch,) = table.combine_chunks().to_batches()
    block = request_block(batch, dataset)
    block = RequestBlock(block.shoppers, block.times_us, (*block.columns, _delays(logs, batch)))
    labels = batch.column("label").flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    lengths = batch.column("label").value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    first = config.start_us // _HOUR_US
    warm_up = block.times_us < config.start_us + WARM_UP_DAYS * 24 * _HOUR_US
    scores = _scores(batch, labels, lengths, warm_up)
    slices = {"device": [value[0].decode() if value else "" for value in batch.column("device").to_pylist()]}
    texts = {name: batch.column(name).flatten() for name in ("device", "country", "segment", "category")}
    rows = pa.array(np.repeat(np.arange(len(batch)), lengths))
    pairs = {(name, "category"): cells(texts[name].take(rows), texts["category"]) for name in ("device", "country", "segment")}
    requests = Requests(block, RankedLists(block.shoppers, block.times_us, lengths, scores, labels, slices, pairs))
    return requests.between(first + WARM_UP_DAYS * 24, first + config.days * 24)


def _scores(
    batch: pa.RecordBatch, labels: NDArray[np.float32], lengths: NDArray[np.int64], trained: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Score all candidates by trees on the numbers, and on matches with the history, of the requests that `trained` marks."""
    columns = []
    for name in batch.schema.names:
        column = batch.column(name)
        if name in ("time", "interactions") or name.startswith(("label", "history")) or pa.types.is_null(column.type):
            continue
        if column.type.value_type not in (pa.float32(), pa.int64()):
            continue
        values = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
        columns.append(values if len(values) == len(labels) else np.repeat(values, lengths))
    columns += [_matches(batch, name, lengths) for name in ("category", "brand")]
    features, rows = np.stack(columns, axis=1), np.repeat(trained, lengths)
    trees = lgb.train(_TREES, lgb.Dataset(features[rows], labels[rows]), num_boost_round=60)
    scores: NDArray[np.float32] = np.asarray(trees.predict(features), np.float32)
    return scores


def _matches(batch: pa.RecordBatch, name: str, lengths: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return for each candidate [N] the share of the shopper's history with its value of a column."""
    events = batch.column(f"history_{name}")
    of_events = events.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    codes = pa.concat_arrays([batch.column(name).flatten(), events.flatten()]).dictionary_encode().indices.to_numpy(zero_copy_only=False)
    candidates, past = codes[: lengths.sum()], codes[lengths.sum() :]
    values = int(codes.max()) + 1
    request, row = np.repeat(np.arange(len(batch)), of_events), np.repeat(np.arange(len(batch)), lengths)
    keys, counts = np.unique(request * values + past, return_counts=True)
    wanted = row * values + candidates
    nearest = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    matching = np.where(keys[nearest] == wanted, counts[nearest], 0)
    shares: NDArray[np.float32] = (matching / np.maximum(of_events[row], 1)).astype(np.float32)
    return shares


def _delays(logs: Path, batch: pa.RecordBatch) -> ColumnValues:
    """Return the seconds from each request to its clicks."""
    events = pl.scan_parquet(logs / "events" / "*.parquet").select("time", "action", "request_id").collect()
    requests = pl.DataFrame(
        {
            "request_id": [value[0].decode() for value in batch.column("request").to_pylist()],
            "asked": batch.column("time").flatten().to_numpy(zero_copy_only=False),
            "row": np.arange(len(batch)),
        }
    )
    clicks = events.filter(pl.col("action") == "click").join(requests, on="request_id").sort("row", "time")
    seconds = (clicks["time"].cast(pl.Int64) - clicks["asked"]) / 1e6
    return ColumnValues(DELAY, seconds.to_numpy().astype(np.float32), clicks["row"].to_numpy().astype(np.int64))
