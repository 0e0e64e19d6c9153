"""Check the version labels of a configuration against the available versions."""

from collections.abc import Callable, Mapping

from serving.model_server.errors import Code, ServingError
from serving.model_server.lifecycle.models import Models

Labels = Mapping[str, Mapping[str, int]]


def accepted(models: Models, before: Labels, *, available: Callable[[str, int], bool], unavailable_allowed: bool) -> Labels:
    """Return model -> label -> version for the whole configuration.

    A label may only point to an available version; with `unavailable_allowed`, a new or unchanged label may point to
    any. Raises FAILED_PRECONDITION for the first label that may not.
    """
    for model in models.values():
        for label, version in model.labels.items():
            moves = before.get(model.name, {}).get(label, version) != version
            if not available(model.name, version) and (moves or not unavailable_allowed):
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    f"Request to assign label to version {version} of model {model.name}, which is not currently available for inference",
                )
    return {model.name: dict(model.labels) for model in models.values() if model.labels}
