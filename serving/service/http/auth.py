"""The token that writing calls need."""

import secrets

NEEDED = "expected the service's token; send `Authorization: Bearer TOKEN`"
_SCHEME = "bearer "


def permits(token: str, authorization: str | bytes) -> bool:
    """Whether a header `Authorization` holds the token; any does where the service was started without one.

    A wrong token takes as long to refuse however much of it is right.
    """
    if not token:
        return True
    told = authorization.encode("utf-8", "replace") if isinstance(authorization, str) else authorization
    scheme, given = told[: len(_SCHEME)], told[len(_SCHEME) :]
    return scheme.lower() == _SCHEME.encode() and secrets.compare_digest(given.strip(), token.encode())
