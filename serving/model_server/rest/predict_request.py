"""Parse the tensors of a `:predict` body: rows under `instances`, or columns under `inputs`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.model_server.errors import ServingError, invalid
from serving.model_server.inference.tensors import Array
from serving.model_server.rest.json_body import fault, shown
from serving.model_server.rest.json_tensors import is_base64, shape_of, to_array

Dtypes = Mapping[str, int]


def signature_name(document: dict[str, Any]) -> str:
    """Return the signature's name; empty for the default one. Raises INVALID_ARGUMENT where it isn't a string."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise fault(document, "not formatted correctly. 'signature_name' key must be a string value.")
    return name


def by_rows(document: dict[str, Any]) -> bool:
    """Return whether the body has rows. Raises INVALID_ARGUMENT where it has both forms or none."""
    if "instances" not in document and "inputs" not in document:
        raise invalid("Missing 'inputs' or 'instances' key")
    if "instances" in document and "inputs" in document:
        raise fault(document, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ")
    return "instances" in document


def rows(document: dict[str, Any], dtypes: Dtypes) -> dict[str, Array]:
    """Stack `instances`, values of the only input or objects with a value for each input, on a new first axis."""
    instances = document["instances"]
    if not isinstance(instances, list):
        raise fault(document, "Expecting 'instances' to be an list/array")
    if not instances:
        raise fault(document, "No values in 'instances' array")
    if not isinstance(instances[0], dict) and len(dtypes) > 1:
        raise invalid("instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map")
    if _is_object(instances[0]):
        return _named(instances, dtypes)
    for index, item in enumerate(instances):
        if _is_object(item):
            raise invalid(f"Expecting value/list but got object at item {index} of input list")
    ((name, dtype),) = dtypes.items()
    return {name: _stacked(instances, dtype, key="")}


def columns(document: dict[str, Any], dtypes: Dtypes) -> dict[str, Array]:
    """Convert `inputs`, the value of the only input or an object with a value for each; other keys are ignored."""
    named = document["inputs"]
    if _is_object(named):
        for name in sorted(dtypes):
            if name not in named:
                raise invalid(f"Missing named input: {name} in 'inputs' object.")
        return {name: to_array(named[name], dtype) for name, dtype in sorted(dtypes.items())}
    if len(dtypes) > 1:
        raise invalid("inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map")
    ((name, dtype),) = dtypes.items()
    return {name: to_array(named, dtype)}


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _named(instances: list[Any], dtypes: Dtypes) -> dict[str, Array]:
    for index, row in enumerate(instances):
        if not _is_object(row):
            raise invalid(f"Expecting object but got list at item {index} of input list")
        if row.keys() != dtypes.keys():
            for name in row.keys() - dtypes.keys():
                raise _element(index, invalid(f"JSON object: does not have named input: {name}"), key=name)
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: {shown(row)} "
                f"keys must be equal to: {','.join(sorted(dtypes))}"
            )
    return {name: _stacked([row[name] for row in instances], dtype, key=name) for name, dtype in sorted(dtypes.items())}


def _stacked(items: list[Any], dtype: int, *, key: str) -> Array:
    try:
        return to_array(items, dtype)
    except ServingError:
        shape = shape_of(items[0])
        for index, item in enumerate(items):
            try:
                array = to_array(item, dtype)
                _check_shape(shape, array.shape)
            except ServingError as error:
                raise _element(index, error, key=key) from error
        raise


def _check_shape(expected: tuple[int, ...], actual: tuple[int, ...]) -> None:
    if np.prod(expected) != np.prod(actual):
        raise invalid(f"Expecting tensor size: {np.prod(expected, dtype=int)} but got: {np.prod(actual, dtype=int)}")
    if expected != actual:
        raise invalid(f"Expecting shape {_listed(expected)} but got: {_listed(actual)}")


def _element(index: int, error: ServingError, *, key: str) -> ServingError:
    named = f" key: {key}" if key else ""
    return invalid(f"Failed to process element: {index}{named} of 'instances' list. Error: {error.status_text}")


def _listed(shape: tuple[int, ...]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"
