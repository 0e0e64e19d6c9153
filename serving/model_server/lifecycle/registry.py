"""What can be asked right now: the available versions of each model, and the labels."""

import threading
from collections.abc import Mapping

from tensorflow_serving.apis import model_pb2

from serving.model_server.errors import Code, ServingError, invalid
from serving.model_server.lifecycle.servable import Servable


class Catalogue:
    """The available versions and the labels. Thread-safe; a lease costs one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._versions: dict[str, dict[int, Servable]] = {}
        self._labels: Mapping[str, Mapping[str, int]] = {}

    def lease(self, spec: model_pb2.ModelSpec) -> Servable:
        """The version that the spec means, held: use it in a `with`.

        Raises NOT_FOUND when it isn't available, INVALID_ARGUMENT for a spec without a name or with an unknown label.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        with self._lock:
            versions = self._versions.get(spec.name, {})
            match spec.WhichOneof("version_choice"):
                case "version":
                    wanted = spec.version.value
                case "version_label":
                    wanted = self._labelled(spec.name, spec.version_label)
                case _:
                    if not versions:
                        raise ServingError(Code.NOT_FOUND, f"Servable not found for request: Latest({spec.name})")
                    wanted = max(versions)
            if wanted not in versions:
                raise ServingError(Code.NOT_FOUND, f"Servable not found for request: Specific({spec.name}, {wanted})")
            return versions[wanted].hold()

    def labels(self) -> Mapping[str, Mapping[str, int]]:
        """Model -> label -> version."""
        return self._labels

    def set_labels(self, labels: Mapping[str, Mapping[str, int]]) -> None:
        """Put these labels in place of all there were."""
        with self._lock:
            self._labels = labels

    def add(self, servable: Servable) -> None:
        """From now on requests may get this version."""
        with self._lock:
            self._versions.setdefault(servable.model, {})[servable.version] = servable

    def withdraw(self, model: str, version: int) -> Servable:
        """From now on no request gets this version; those that hold it go on."""
        with self._lock:
            return self._versions[model].pop(version)

    def _labelled(self, model: str, label: str) -> int:
        try:
            return self._labels[model][label]
        except KeyError:
            raise invalid(f"Unrecognized servable version label: {label}") from None
