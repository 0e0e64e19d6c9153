"""Parse the address of Redis Streams; the password comes from the environment, never from the address."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit, urlunsplit

from components.contract.errors import InputError

PASSWORD_VARIABLE = "SHELFRANK_REDIS_PASSWORD"
_OPTIONS = ("stream", "partitions", "field")


@dataclass(frozen=True)
class RedisAddress:
    """A Redis and the streams to read there.

    Attributes:
        url: with the options of the client alone.
        streams: keys, each of which is a partition.
        message_field: of an entry that has the message; None: its only field, or all of several as one JSON object.
        password: of the environment.
    """

    url: str
    streams: tuple[str, ...]
    message_field: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.url.partition('?')[0]}?stream={self.streams[0]}"


def parse_redis_address(address: str, environment: Mapping[str, str] = os.environ) -> RedisAddress:
    """Parse `redis://HOST:PORT/0?stream=NAME`: `stream` may be repeated, `partitions=N` reads NAME:0 to NAME:N-1, `field=NAME`
    is the field with the message. `rediss://` is TLS; the password is the environment's SHELFRANK_REDIS_PASSWORD.

    Raises:
        InputError: it is no such address, or has a password.
    """
    parts = urlsplit(address)
    options = parse_qs(parts.query, keep_blank_values=True)
    shown = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    if parts.password or "password" in options:
        raise InputError(f"{shown}: a password in an address would be seen by all who see the command line; give it in {PASSWORD_VARIABLE}")
    streams = tuple(options.get("stream", ()))
    if not parts.hostname or not all(streams) or not streams:
        raise InputError(f"expected redis://HOST:PORT/0?stream=NAME, got {shown}")
    if "partitions" in options:
        number = options["partitions"][-1]
        if not number.isdecimal() or not int(number) or len(streams) > 1:
            raise InputError(f"{shown}: expected `partitions` to be the number of one stream's partitions, got {number!r}")
        streams = tuple(f"{streams[0]}:{at}" for at in range(int(number)))
    rest = "&".join(f"{name}={values[-1]}" for name, values in options.items() if name not in _OPTIONS)
    url = urlunsplit((parts.scheme, parts.netloc, parts.path or "/0", rest, ""))
    return RedisAddress(url, streams, options.get("field", [None])[-1], environment.get(PASSWORD_VARIABLE))
