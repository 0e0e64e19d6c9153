"""Look up the available versions of each model, by number, label or age."""

import threading
from collections.abc import Mapping

from tensorflow_serving.apis import model_pb2

from serving.model_server.errors import Code, ServingError, invalid
from serving.model_server.lifecycle.servable import Servable


class Registry:
    """Available versions and labels. Thread-safe; a lease costs one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._versions: dict[str, dict[int, Servable]] = {}
        self._labels: Mapping[str, Mapping[str, int]] = {}

    def lease(self, spec: model_pb2.ModelSpec) -> Servable:
        """Return the version that the spec names, held against unloading: use it in a `with`.

        Raises NOT_FOUND when it isn't available, INVALID_ARGUMENT for a spec without a name or with an unknown label.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        with self._lock:
            versions = self._versions.get(spec.name, {})
            match spec.WhichOneof("version_choice"):
                case "version":
                    requested = spec.version.value
                case "version_label":
                    requested = self._labelled(spec.name, spec.version_label)
                case _:
                    if not versions:
                        raise ServingError(Code.NOT_FOUND, f"Servable not found for request: Latest({spec.name})")
                    requested = max(versions)
            if requested not in versions:
                raise ServingError(Code.NOT_FOUND, f"Servable not found for request: Specific({spec.name}, {requested})")
            return versions[requested].hold()

    def labels(self) -> Mapping[str, Mapping[str, int]]:
        """Return model -> label -> version."""
        return self._labels

    def set_labels(self, labels: Mapping[str, Mapping[str, int]]) -> None:
        """Replace all labels."""
        with self._lock:
            self._labels = labels

    def add(self, servable: Servable) -> None:
        """Make a version available to requests."""
        with self._lock:
            self._versions.setdefault(servable.model, {})[servable.version] = servable

    def withdraw(self, model: str, version: int) -> Servable:
        """Make a version unavailable to new requests and return it; requests that hold it go on."""
        with self._lock:
            return self._versions[model].pop(version)

    def _labelled(self, model: str, label: str) -> int:
        try:
            return self._labels[model][label]
        except KeyError:
            raise invalid(f"Unrecognized servable version label: {label}") from None
