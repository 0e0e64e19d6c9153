"""Paths of the REST API."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from tensorflow_serving.apis import model_pb2

from serving.model_server.errors import invalid

_WHICH = r"(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?"
CALLS = re.compile(rf"/v1/models/([^/:]+){_WHICH}:(classify|regress|predict)", re.IGNORECASE | re.ASCII)
VIEWS = re.compile(rf"/v1/models(?:/([^/:]+))?{_WHICH}(?:/(metadata))?", re.IGNORECASE | re.ASCII)
OURS = re.compile(r"/v1/.*", re.IGNORECASE)


@dataclass(frozen=True)
class Route:
    """What is asked (`classify`, `regress`, `predict`, `metadata`, `status`), of which model, version or label."""

    action: str
    model: str
    version: int | None
    label: str

    def fill(self, spec: model_pb2.ModelSpec) -> None:
        """Write the model, and the version or label if there is one, into a request's spec."""
        spec.name = self.model
        if self.version is not None:
            spec.version.value = self.version
        if self.label:
            spec.version_label = self.label


def parse(method: str, path: str) -> Route:
    """The route of a still encoded path. Raises INVALID_ARGUMENT for anything that isn't one."""
    match = CALLS.fullmatch(path) if method == "POST" else VIEWS.fullmatch(path) if method == "GET" else None
    if match is None:
        raise invalid(f"Malformed request: {method} {path}")
    model, version, label, action = match.groups()
    if version is not None and int(version) > 2**63 - 1:
        raise invalid(f"Failed to convert version: {version} to numeric.")
    if not model:
        raise invalid("Missing model name in request.")
    return Route((action or "status").lower(), unquote(model), None if version is None else int(version), unquote(label or ""))
