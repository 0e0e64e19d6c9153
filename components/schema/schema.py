"""Build the schema of the examples from the dataset file, not inferred from data."""

from collections.abc import Sequence

from tensorflow_metadata.proto.v0 import schema_pb2

from components.contract.columns import Column, columns, state_columns
from components.contract.dataset import Dataset
from components.contract.features import Number
from components.contract.sources import Rows
from components.contract.values.local_time import CLOCK_COLUMNS

_TYPES = {"string": schema_pb2.BYTES, "int64": schema_pb2.INT, "float32": schema_pb2.FLOAT}


def schema(dataset: Dataset, table: Sequence[Column] | None = None) -> schema_pb2.Schema:
    """Build the schema that every example of the dataset must fit; default of `table`: all its columns.

    Columns of the request hold exactly one value (a vector: its length). Columns of candidates and of the history are
    ragged: their values are flat, so that a candidate's vector is `size` values in a row. Missing values are "" and
    NaN, never an absent column.
    """
    built = schema_pb2.Schema()
    representations = built.tensor_representation_group[""].tensor_representation
    for column in columns(dataset) if table is None else table:
        feature = built.feature.add(name=column.name, type=_TYPES[column.dtype])
        feature.presence.min_fraction = 1.0
        feature.presence.min_count = 1
        if column.axis == "request":
            feature.shape.SetInParent()
            if column.size > 1:
                feature.shape.dim.add(size=column.size)
            # Needed for these too: where a group has a representation, TFX infers none for the columns that it leaves out.
            dense = representations[column.name].dense_tensor
            dense.column_name = column.name
            dense.shape.CopyFrom(schema_pb2.FixedShape(dim=feature.shape.dim))
        else:
            # A request without candidates is an error; a shopper without history isn't.
            feature.value_count.min = column.size if column.axis == "candidate" else 0
            ragged = representations[column.name].ragged_tensor
            ragged.feature_path.step.append(column.name)
            ragged.row_partition_dtype = schema_pb2.TensorRepresentation.RowPartitionDType.INT64
        _set_domain(feature, column, dataset)
    return built


def _set_domain(feature: schema_pb2.Feature, column: Column, dataset: Dataset) -> None:
    """Set the domain that the dataset file implies for a column's values."""
    history = dataset.history
    if column.role == "label":
        feature.float_domain.CopyFrom(schema_pb2.FloatDomain(min=0, max=1, disallow_nan=True))
    elif column.name in dataset.amounts:
        feature.float_domain.CopyFrom(schema_pb2.FloatDomain(disallow_nan=True))
    elif column.name == "position":
        feature.int_domain.min = -1
    elif column.role == "meta" and column.dtype == "int64":
        # Requests of plain rows may have no time at all.
        if not (column.name == "time" and isinstance(dataset.candidates, Rows)):
            feature.int_domain.min = 0
    elif history and column.name == f"{history.name}_action":
        feature.string_domain.value.extend(history.actions)
    elif history and column.name == f"{history.name}_age_s":
        feature.float_domain.CopyFrom(schema_pb2.FloatDomain(min=0, disallow_nan=True))
    elif any(column.name in state_columns(dataset, state) for state in dataset.state_features):
        feature.float_domain.min = 0  # counts, rates and seconds; NaN where there was never such an event
    elif column.role == "input" and column.axis != "history":
        _set_input_domain(feature, dataset, column.feature)


def _set_input_domain(feature: schema_pb2.Feature, dataset: Dataset, name: str) -> None:
    declared = dataset.feature(name)
    if last := CLOCK_COLUMNS.get(declared.key):
        if isinstance(declared, Number):
            feature.float_domain.CopyFrom(schema_pb2.FloatDomain(min=0, max=last))
        else:
            feature.string_domain.value.extend(["", *(str(value) for value in range(last + 1))])
    elif isinstance(declared, Number) and declared.minimum is not None:
        feature.float_domain.min = declared.minimum
