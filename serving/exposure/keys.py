"""The shopper's key in the log: his id, or a keyed hash of it that is the same for ever."""

import hashlib
import hmac

from components.contract.errors import InputError

LEAST_SALT_BYTES = 16


def shopper_key(shopper: str, salt: bytes | None) -> str:
    """What stands for a shopper in the log.

    Without a salt his id. With one the first 128 bits of HMAC-SHA256 in hexadecimal: whoever doesn't hold the salt can't find the id by
    hashing all there are. It stays the same as long as the salt does, so the pipeline trains on it as on any id; a table of users then
    needs these keys as well. A guest ("") stays one.

    Raises:
        InputError: the salt is shorter than 16 bytes, and could be guessed.
    """
    if salt is None or not shopper:
        return shopper
    if len(salt) < LEAST_SALT_BYTES:
        raise InputError(f"expected a salt of at least {LEAST_SALT_BYTES} bytes, got {len(salt)}; make one with `openssl rand -hex 16`")
    return hmac.new(salt, shopper.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:32]
