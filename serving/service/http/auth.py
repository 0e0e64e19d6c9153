"""Check the token that writing calls need."""

import secrets

NEEDED = "expected the service's token; send `Authorization: Bearer TOKEN`"
_SCHEME = "bearer "


def permits(token: str, authorization: str | bytes) -> bool:
    """Return whether an `Authorization` header holds the token; any does if the service has none.

    The comparison takes constant time.
    """
    if not token:
        return True
    header = authorization.encode("utf-8", "replace") if isinstance(authorization, str) else authorization
    scheme, credentials = header[: len(_SCHEME)], header[len(_SCHEME) :]
    return scheme.lower() == _SCHEME.encode() and secrets.compare_digest(credentials.strip(), token.encode())
