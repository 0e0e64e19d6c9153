"""Ids that training never met: their embeddings are set to 0, so that content alone speaks for them."""

from collections.abc import Mapping

import numpy as np
import tf_keras as keras
from numpy.typing import NDArray

from trainer.model.embedding import Table


def clear_unseen(model: keras.Model, drawn: Mapping[str, NDArray[np.float32]]) -> None:
    """Set the rows of a trained model's tables that training never looked up to 0.

    A new id falls into a hash bucket or a bucket for the rest. Where no id of the training window fell into it, its row is what it was
    drawn as, and what the network makes of that is noise: another score for two new products that are alike. 0 is what dropout shows of
    an embedding it leaves out, and so what the network has learnt to do without.

    That a row was never looked up is seen by its not having moved at all: the gradient of such a row is 0 in every step, and so is
    everything that Adam and the averages make of it. (L2 weighs only what a batch looks up.)

    Args:
        drawn: rows of each table as they were drawn [rows, dim], by `drawn_rows`, before anything was carried over from a champion.
    """
    for name, table in id_tables(model).items():
        rows = table.table.numpy()
        rows[(rows == drawn[name]).all(axis=1)] = 0
        table.table.assign(rows)


def id_tables(model: keras.Model) -> dict[str, Table]:
    """The tables whose ids come from the data: ids, categories and words."""
    return {
        **{f"tables/{name}": table for name, table in model.tables.items()},
        **{f"words/{name}": table for name, table in model.words.items()},
    }


def drawn_rows(model: keras.Model) -> dict[str, NDArray[np.float32]]:
    """A copy of the rows of each such table of a model that is built."""
    return {name: table.table.numpy().copy() for name, table in id_tables(model).items()}
