"""Load a release and run it on the tensors that a request was sent with."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from components.contract.errors import InputError
from components.contract.storage.object_store import Address
from components.release.publish import download_model
from serving.client.tensors import FIELDS
from serving.model_server.inference.saved_model import LoadedModel

SCORES, SIGNATURE = "scores", "serving_default"


@final
class ReleaseModel:
    """A release's SavedModel, loaded as the model server loads it.

    Args:
        release: its folder, on this machine or in a bucket.
    """

    def __init__(self, release: Address) -> None:
        with ExitStack() as stack:
            folder = release.local
            if folder is None:
                folder = Path(stack.enter_context(TemporaryDirectory()))
                download_model(release, folder)
            self._model = LoadedModel(folder)

    def has(self, signature: str) -> bool:
        """Return whether the model has a signature."""
        return signature in self._model.signatures

    def tensors(self, features: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Return the tensors of a request from its logged features: null is NaN, text UTF-8.

        Raises:
            InputError: the features aren't the model's inputs.
        """
        inputs = self._model.signatures[SIGNATURE].inputs
        if features.keys() != inputs.keys():
            missing, extra = sorted(inputs.keys() - features.keys()), sorted(features.keys() - inputs.keys())
            raise InputError(
                f"the logged features aren't the inputs of the release: missing {missing}, unknown {extra};"
                " the log or the store is that of another shop"
            )
        return {
            name: _array(features[name], FIELDS[info.dtype][0], [dim.size for dim in info.tensor_shape.dim])
            for name, info in inputs.items()
        }

    def run(self, tensors: Mapping[str, NDArray[Any]], signature: str = SIGNATURE) -> dict[str, NDArray[Any]]:
        """Return the outputs of a signature by name."""
        declared = self._model.signatures[signature]
        feeds = {declared.inputs[name].name: values for name, values in tensors.items()}
        names = sorted(declared.outputs)
        outputs = self._model.run(feeds, [declared.outputs[name].name for name in names], deadline=np.inf)
        return dict(zip(names, outputs, strict=True))

    def close(self) -> None:
        """Free the memory."""
        self._model.close()


def _array(values: Any, dtype: np.dtype[Any], shape: Sequence[int]) -> NDArray[Any]:
    """Return nested lists as an array; of an empty list the sizes within it are those of the signature's shape."""
    sizes, level = [], values
    while isinstance(level, list):
        sizes.append(len(level))
        level = level[0] if level else None
    sizes += [max(size, 0) for size in shape[len(sizes) :]]
    flat = values
    for _ in shape[1:]:
        flat = [each for row in flat for each in row]
    if dtype.hasobject:
        array: NDArray[Any] = np.empty(len(flat), object)
        array[:] = [each.encode() for each in flat]
        return array.reshape(sizes)
    return np.array([np.nan if each is None else each for each in flat], dtype).reshape(sizes)
