"""The shopper's key in the log: his id, or a keyed hash of it that is the same for ever."""

import hashlib
import hmac

from components.contract.errors import InputError
from serving.features.catalogue import SecondIds

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


def keys_of(shopper: str, second_ids: SecondIds, salt: bytes | None, *, now_us: int) -> list[str]:
    """The keys that all ids of a shopper have in the log, whichever of them is named.

    A table of second ids that the pipeline reads beside a salted log holds keys: it is asked by the id and by the key.
    """
    ids = second_ids.all_ids(shopper, now_us)
    return list(dict.fromkeys([*(shopper_key(each, salt) for each in ids), *second_ids.all_ids(shopper_key(shopper, salt), now_us)]))
