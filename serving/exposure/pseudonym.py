"""Pseudonymize shoppers in the log: by their id, or by a keyed hash of it."""

import hashlib
import hmac

from components.contract.errors import InputError
from serving.features.catalogue import SecondIds

LEAST_SALT_BYTES = 16


def pseudonym(shopper: str, salt: bytes | None) -> str:
    """Return a shopper's pseudonym in the log.

    Without a salt it is the id. With one it is the first 128 bits of HMAC-SHA256 in hexadecimal: without the salt
    nobody can find the id by hashing all ids. It stays the same as long as the salt does, so the pipeline trains on it
    as on any id; a table of users then needs these pseudonyms as well. A guest ("") stays one.

    Raises:
        InputError: the salt is shorter than 16 bytes, and could be guessed.
    """
    if salt is None or not shopper:
        return shopper
    if len(salt) < LEAST_SALT_BYTES:
        raise InputError(f"expected a salt of at least {LEAST_SALT_BYTES} bytes, got {len(salt)}; make one with `openssl rand -hex 16`")
    return hmac.new(salt, shopper.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:32]


def pseudonyms_of(shopper: str, second_ids: SecondIds, salt: bytes | None, *, now_us: int) -> list[str]:
    """Return the pseudonyms of all ids of a shopper, whichever of them is named.

    A table of second ids that the pipeline reads beside a salted log holds pseudonyms: it is looked up by both.
    """
    ids = second_ids.all_ids(shopper, now_us)
    return list(dict.fromkeys([*(pseudonym(each, salt) for each in ids), *second_ids.all_ids(pseudonym(shopper, salt), now_us)]))
