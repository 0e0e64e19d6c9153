"""The password of Redis: a secret, so it comes from the environment or a file, never from the command line, which all may see."""

import os
from pathlib import Path

from components.contract.errors import InputError

VARIABLE = "SHELFRANK_REDIS_PASSWORD"


def redis_password(file: Path | None) -> str:
    """The first line of a file, or what the environment says; "" where neither says anything.

    Raises:
        InputError: both say one.
        OSError: the file can't be read.
    """
    told = os.environ.get(VARIABLE, "")
    if file is None:
        return told
    if told:
        raise InputError(f"expected Redis's password from {VARIABLE} or --redis-password-file, got both; leave one out")
    return file.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
