"""Join a simulated shop's truth to the candidates of a run's examples."""

from pathlib import Path
from typing import Any

import polars as pl
import tensorflow as tf
from numpy.typing import NDArray

from components.schema.parsing import Features


def candidate_ids(_records: tf.Tensor, features: Features) -> dict[str, NDArray[Any]]:
    """Return the key of each candidate in the truth; a view for `benchmarks.quality.split_data.read`."""
    request = tf.gather(features["request"], features["item"].value_rowids())
    return {"request_id": request.numpy().astype(str), "item_id": features["item"].flat_values.numpy().astype(str)}


def of_candidates(ids: dict[str, NDArray[Any]], truth: Path, column: str) -> NDArray[Any]:
    """A column of the truth's impressions (docs/explanation/simulated-shop.md) for each candidate that `ids` names, [N]."""
    columns = [*ids, column]
    written = pl.concat([pl.read_parquet(path, columns=columns) for path in sorted(truth.glob("relevance-*.parquet"))])
    return pl.DataFrame(ids).join(written, on=list(ids), how="left", maintain_order="left")[column].to_numpy()
