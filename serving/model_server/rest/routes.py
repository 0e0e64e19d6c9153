"""Parse the paths of the REST API."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from tensorflow_serving.apis import model_pb2

from serving.model_server.errors import invalid

_VERSION_OR_LABEL = r"(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?"
POST_PATHS = re.compile(rf"/v1/models/([^/:]+){_VERSION_OR_LABEL}:(classify|regress|predict)", re.IGNORECASE | re.ASCII)
GET_PATHS = re.compile(rf"/v1/models(?:/([^/:]+))?{_VERSION_OR_LABEL}(?:/(metadata))?", re.IGNORECASE | re.ASCII)
API_PATHS = re.compile(r"/v1/.*", re.IGNORECASE)


@dataclass(frozen=True)
class Route:
    """Action (`classify`, `regress`, `predict`, `metadata`, `status`), and the model, version or label it is for."""

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
    """Parse a percent-encoded path. Raises INVALID_ARGUMENT for a path that isn't in the API."""
    match = POST_PATHS.fullmatch(path) if method == "POST" else GET_PATHS.fullmatch(path) if method == "GET" else None
    if match is None:
        raise invalid(f"Malformed request: {method} {path}")
    model, version, label, action = match.groups()
    if version is not None and int(version) > 2**63 - 1:
        raise invalid(f"Failed to convert version: {version} to numeric.")
    if not model:
        raise invalid("Missing model name in request.")
    return Route((action or "status").lower(), unquote(model), None if version is None else int(version), unquote(label or ""))
