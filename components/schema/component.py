"""`ContractSchema`: write the schema of the examples as an artifact."""

import os

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Schema
from tfx.utils import io_utils

from components.contract.load import parse_dataset
from components.schema.schema import schema as contract_schema


@component
def ContractSchema(dataset: Parameter[str], schema: OutputArtifact[Schema], code: Parameter[str] = "") -> None:  # noqa: N802, a component is named like a class
    """Write `schema.pbtxt` from the dataset file's text; `code`, its version, is part of TFX's cache key."""
    io_utils.write_pbtxt_file(os.path.join(schema.uri, "schema.pbtxt"), contract_schema(parse_dataset(dataset)))
