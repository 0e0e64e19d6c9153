"""Fetch schemas by their id from a schema registry (Confluent's API, which Karapace and Apicurio serve, too)."""

import base64
import json
import os
import struct
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, final
from urllib.parse import quote, urlsplit

from components.contract.errors import InputError, SourceUnavailable

CREDENTIALS_VARIABLE = "SHELFRANK_SCHEMA_REGISTRY_CREDENTIALS"  # USER:PASSWORD
HEADER_BYTES = 5  # before a payload: a zero byte, and the schema's id
_TIMEOUT_S = 10.0
_NOT_THERE = 404
_REFUSALS = (401, 403)


class UnknownSchema(Exception):  # noqa: N818 - makes a message a rejected one
    """A payload without a schema's id, or with one that the registry doesn't know."""


def schema_id(payload: bytes) -> int:
    """Return the id of a payload's schema.

    Raises:
        UnknownSchema: it doesn't begin with one.
    """
    if len(payload) < HEADER_BYTES or payload[0]:
        raise UnknownSchema(f"expected a zero byte and a schema's id of four, got {payload[:HEADER_BYTES].hex(' ') or 'nothing'}")
    (number,) = struct.unpack(">I", payload[1:HEADER_BYTES])
    return int(number)


@final
class SchemaRegistry:
    """A registry; a schema of an id never changes, and is fetched once.

    Args:
        url: `http://HOST:PORT` or `https://HOST`; credentials are the environment's.
        environment: of the process.

    Raises:
        InputError: it is no such address.
    """

    def __init__(self, url: str, environment: Mapping[str, str] = os.environ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
            raise InputError(f"expected a schema registry's http://HOST:PORT, got {shown}; credentials are given in {CREDENTIALS_VARIABLE}")
        self._url = url.rstrip("/")
        self._headers = {"Accept": "application/vnd.schemaregistry.v1+json"}
        if credentials := environment.get(CREDENTIALS_VARIABLE):
            self._headers["Authorization"] = f"Basic {base64.b64encode(credentials.encode()).decode()}"
        self._schemas: dict[str, dict[str, Any]] = {}

    def schema(self, number: int, *, serialized: bool = False) -> dict[str, Any]:
        """Return what the registry has under an id: `schema`, and `schemaType` and `references` if it has them.

        `serialized`: a schema of Protobuf as the base64 of its descriptor.

        Raises:
            UnknownSchema: there is no such id.
            SourceUnavailable: the registry doesn't answer.
            InputError: it refuses the credentials.
        """
        return self._fetched(f"/schemas/ids/{number}{'?format=serialized' if serialized else ''}", f"schema {number}")

    def reference(self, subject: str, version: int) -> dict[str, Any]:
        """Return a version of a subject, which another schema refers to."""
        return self._fetched(f"/subjects/{quote(subject, safe='')}/versions/{version}", f"version {version} of {subject!r}")

    def _fetched(self, path: str, what: str) -> dict[str, Any]:
        if path not in self._schemas:
            self._schemas[path] = self._request(path, what)
        return self._schemas[path]

    def _request(self, path: str, what: str) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(urllib.request.Request(self._url + path, headers=self._headers), timeout=_TIMEOUT_S) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == _NOT_THERE:
                    raise UnknownSchema(f"{self._url} has no {what}") from None
                if error.code in _REFUSALS:
                    raise InputError(
                        f"{self._url}: expected to be let in, and the schema registry refuses (HTTP {error.code}): give USER:PASSWORD in"
                        f" {CREDENTIALS_VARIABLE}"
                    ) from None
                raise self._unavailable(f"HTTP {error.code}") from None
        except (OSError, ValueError) as error:
            raise self._unavailable(str(getattr(error, "reason", error))) from None
        if not isinstance(answer, dict) or not isinstance(answer.get("schema"), str):
            raise self._unavailable("an answer without a schema")
        return answer

    def _unavailable(self, cause: str) -> SourceUnavailable:
        return SourceUnavailable(f"{self._url}: expected a schema of the registry, got {cause}; check the address and the registry")
