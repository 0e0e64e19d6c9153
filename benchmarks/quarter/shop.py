"""A simulated shop's days: examples as ingestion gives them, one file a day, a fault planted in some, and their truth."""

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import tensorflow as tf
import yaml
from numpy.typing import NDArray

from benchmarks.ingest.ingest import DATASET, ONE_THREAD, run
from components.evaluation.metrics.arrow_columns import shoppers
from components.ingest.requests.splits import SPLITS
from components.simulator import ShopConfig, simulate
from components.simulator.behaviour import CLICK_RATE

WINDOW_DAYS = 28
"""Days of a training window, and of the log before the quarter."""
PRODUCT_DAYS = 365  # then about as many products leave as come
FEATURES = ("device", "page", "segment", "history", "item", "category", "brand", "price", "price_in_list", "item_ctr", "item_clicks")
"""Of examples/simulated_shop.yaml, without the texts and what adds little: a training takes a third of the time."""
SLICES = ("device", "segment", "interactions", "category", "price")
BROKEN = ("price", "history_price")
"""Columns that are 0 on the days with the fault: the price feed is down."""

_DAY_US = 86_400_000_000
_ROWS_PER_REQUEST = 0.65 + 11 * (1 + 1.35 * CLICK_RATE)  # a search, the list, and what follows
_WRITTEN = "shop.json"


@dataclass(frozen=True, kw_only=True)
class Quarter:
    """What happens; days are counted from the quarter's first one.

    Attributes:
        days: of the quarter.
        requests: of a day, about.
        seed: of the shop and of all trainings.
    """

    days: int = 90
    requests: int = 500
    seed: int = 1

    @property
    def drift_day(self) -> int:
        """The day from which every shopper's taste is another."""
        return self.days // 3

    @property
    def broken_days(self) -> range:
        """The days on which the price feed is down."""
        first = 2 * self.days // 3
        return range(first, first + max(1, self.days // 22))

    @property
    def shop(self) -> ShopConfig:
        """The simulator's settings."""
        days, start = WINDOW_DAYS + self.days, ShopConfig.start
        return ShopConfig(
            events=round(_ROWS_PER_REQUEST * self.requests * days),
            seed=self.seed,
            days=days,
            shoppers=4 * self.requests,
            products=max(480, 4 * self.requests // 3),
            product_days=PRODUCT_DAYS,
            drift_at=start + timedelta(days=WINDOW_DAYS + self.drift_day),
        )

    def midnight(self, day: int) -> datetime:
        """Return when a day begins."""
        first = datetime.combine(self.shop.start, datetime.min.time(), UTC)
        return first + timedelta(days=WINDOW_DAYS + day)

    def phases(self) -> dict[str, range]:
        """Return the days of each phase that has any."""
        broken = self.broken_days
        phases = {
            "before the drift": range(self.drift_day),
            "after the drift": range(self.drift_day, broken.start),
            "price feed down": broken,
            "after that": range(broken.stop, self.days),
        }
        return {name: days for name, days in phases.items() if days}


@dataclass(frozen=True)
class Truth:
    """What is true of a day's R requests with N candidates.

    Attributes:
        relevance: [N] probability of a click once looked at.
        row_lengths: [R].
        users: [R] hashes.
    """

    relevance: NDArray[np.float64]
    row_lengths: NDArray[np.int64]
    users: NDArray[np.uint64]


@dataclass(frozen=True)
class Shop:
    """The days of a shop in a folder, and what their ingestion costs in processor seconds for each day that is read."""

    folder: Path
    text: str
    ingestion_s: float

    def day(self, day: int) -> Path:
        """Return the file with the examples of a day; -1 is the last one before the quarter."""
        return self.folder / "days" / f"{day + WINDOW_DAYS:03d}"

    def truth(self, day: int) -> Truth:
        """Return what is true of a day."""
        with np.load(self.folder / "truth" / f"{day + WINDOW_DAYS:03d}.npz") as arrays:
            return Truth(**arrays)


def dataset_text(seed: int, **model: Any) -> str:
    """Return the dataset file: examples/simulated_shop.yaml with `FEATURES`, and these settings of the model."""
    document = yaml.safe_load(DATASET.read_text(encoding="utf-8"))
    document |= {"seed": seed, "model": model, "slices": list(SLICES)}
    document["features"] = [each for each in document["features"] if each["name"] in FEATURES]
    del document["bands"]["item_carts"]
    document["windows"] |= {"gap": "0s"}  # each day is complete when it is read, an hour after its end
    return str(yaml.safe_dump(document, sort_keys=False))


def make_shop(quarter: Quarter, folder: Path, text: str) -> Shop:
    """Simulate and ingest the shop of a quarter, or read it if the folder holds it."""
    written, config = folder / _WRITTEN, quarter.shop
    if not written.exists():
        if not (folder / "logs").exists():
            simulate(folder / "logs", config)
        (folder / "dataset.yaml").write_text(text, encoding="utf-8")
        began = time.process_time()
        run(folder / "logs", folder / "ingested", ONE_THREAD, folder / "dataset.yaml")
        seconds = (time.process_time() - began) / config.days
        _write_days(folder, quarter, text)
        written.write_text(json.dumps({"quarter": asdict(quarter), "ingestion_s": seconds}), encoding="utf-8")
    return Shop(folder, text, json.loads(written.read_text(encoding="utf-8"))["ingestion_s"])


def _write_days(folder: Path, quarter: Quarter, text: str) -> None:
    examples = str(folder / "ingested" / "examples")
    names = sorted(name for split in SPLITS for name in tf.io.gfile.glob(f"{examples}/Split-{split}/*"))
    records = np.array([record for name in names for record in tf.data.TFRecordDataset(name).as_numpy_iterator()], object)
    parsed = tf.io.parse_example(records.tolist(), {"time": tf.io.FixedLenFeature([], tf.int64)})
    days = (parsed["time"].numpy() - quarter.shop.start_us) // _DAY_US
    order = np.argsort(parsed["time"].numpy(), kind="stable")
    broken = {WINDOW_DAYS + day for day in quarter.broken_days}
    for name in ("days", "truth"):
        (folder / name).mkdir(exist_ok=True)
    relevance = pl.read_parquet(folder / "logs" / "truth" / "relevance-*.parquet", columns=["request_id", "item_id", "relevance"])
    for day in range(quarter.shop.days):
        of_day = records[order[days[order] == day]]
        with tf.io.TFRecordWriter(str(folder / "days" / f"{day:03d}")) as writer:
            for record in of_day:
                writer.write(without_prices(record) if day in broken else record)
        np.savez(folder / "truth" / f"{day:03d}.npz", **asdict(_truth(of_day.tolist(), relevance)))


def without_prices(record: bytes) -> bytes:
    """Return a serialized example as it is while the price feed is down."""
    example = tf.train.Example.FromString(record)
    for name in BROKEN:
        values = example.features.feature[name].float_list.value
        values[:] = [0.0] * len(values)
    return bytes(example.SerializeToString(deterministic=True))


def _truth(records: list[bytes], relevance: pl.DataFrame) -> Truth:
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

    batch = ExamplesToRecordBatchDecoder().DecodeBatch(records)
    lengths = batch.column("item").value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    requests = [each[0].decode() for each in batch.column("request").to_pylist()]
    ids = {
        "request_id": np.repeat(np.array(requests), lengths),
        "item_id": [each.decode() for each in batch.column("item").flatten().to_pylist()],
    }
    joined = pl.DataFrame(ids).join(relevance, on=list(ids), how="left", maintain_order="left")
    users = shoppers(batch)
    assert users is not None
    return Truth(joined["relevance"].to_numpy().astype(np.float64), lengths, users)
