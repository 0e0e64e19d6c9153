"""Read the features of single requests, as they were sent and as ingestion computed them, to compare them value by value."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from components.contract.columns import Column, input_columns
from components.contract.dataset import Dataset
from components.drift.serving_skew import RequestFeatures
from components.drift.sketch.example_block import LENGTH

MOST_REQUESTS = 20_000


def compared_columns(dataset: Dataset) -> tuple[Column, ...]:
    """List the model's inputs without the place: a request asks for one, an example has the one that was shown."""
    return tuple(column for column in input_columns(dataset) if column.name != "position")


def sent_features(decisions: pa.Table, dataset: Dataset) -> Iterator[RequestFeatures]:
    """Yield the features of the decisions that were logged with them, without padding."""
    logged = decisions.select(["request", "items", "features"]).filter(pc.is_valid(decisions["features"]))
    for row in logged.to_pylist():
        features, items = row["features"], row["items"] or []
        lengths = {"candidate": len(items), "history": (features[LENGTH] or [0])[0]}
        columns = {
            column.name: _unpadded(column, features[column.name], lengths)
            for column in compared_columns(dataset)
            if features.get(column.name)
        }
        yield RequestFeatures(row["request"] or "", items, columns)


def computed_features(examples: pa.RecordBatch, dataset: Dataset, requests: Collection[str]) -> Iterator[RequestFeatures]:
    """Yield the features of these requests from a batch of decoded examples."""
    wanted = pa.array([request.encode() for request in requests], pa.binary())
    names = [column.name for column in compared_columns(dataset) if column.name in examples.schema.names]
    chosen = examples.filter(pc.is_in(pc.list_element(examples.column("request"), 0), wanted))
    for row in chosen.select(list(dict.fromkeys(["request", "item", *names]))).to_pylist():
        values = {name: [_text(value) for value in each or []] for name, each in row.items()}
        yield RequestFeatures(values["request"][0], values["item"], {name: values[name] for name in names})


def _unpadded(column: Column, batch: Sequence[Any], lengths: dict[str, int]) -> list[Any]:
    """Return the flat values of a batch of one."""
    if column.axis == "request":
        return list(batch[0]) if column.size > 1 else list(batch)
    values = batch[0][: lengths[column.axis]]
    return [each for vector in values for each in vector] if column.size > 1 else list(values)


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
