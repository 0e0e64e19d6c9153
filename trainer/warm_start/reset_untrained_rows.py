"""Set the embeddings of ids that no training example had to 0, so that their score depends on other features alone."""

from collections.abc import Mapping

import numpy as np
import tf_keras as keras
from numpy.typing import NDArray

from trainer.model.embedding import Table


def reset_untrained_rows(model: keras.Model, initial: Mapping[str, NDArray[np.float32]]) -> None:
    """Set the rows of a trained model's tables that training never looked up to 0.

    A new id falls into a hash bucket or an out-of-vocabulary bucket. Where no id of the training window fell into it,
    its row still has its random initial values, which would give two new products that are alike different scores. 0 is
    what dropout replaces an embedding by, so the network was trained to score without it.

    A row that was never looked up is recognized by not having changed at all: its gradient is 0 in every step, and so
    are Adam's updates and the changes of the moving average. (The L2 regularization covers only rows that a batch looks
    up.)

    Args:
        model: trained.
        initial: rows of each table [rows, dim] as `initial_rows` returned them, before anything was carried over from a
            champion.
    """
    for name, table in id_tables(model).items():
        rows = table.table.numpy()
        rows[(rows == initial[name]).all(axis=1)] = 0
        table.table.assign(rows)


def id_tables(model: keras.Model) -> dict[str, Table]:
    """Return the tables whose ids come from the data: ids, categories and words."""
    return {
        **{f"tables/{name}": table for name, table in model.tables.items()},
        **{f"words/{name}": table for name, table in model.words.items()},
    }


def initial_rows(model: keras.Model) -> dict[str, NDArray[np.float32]]:
    """Copy the rows of each such table of a built model."""
    return {name: table.table.numpy().copy() for name, table in id_tables(model).items()}
