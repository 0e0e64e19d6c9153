"""Read Redis's password from the environment or a file: other users of a machine can see command lines."""

import os
from pathlib import Path

from components.contract.errors import InputError

VARIABLE = "SHELFRANK_REDIS_PASSWORD"


def redis_password(file: Path | None) -> str:
    """Return the first line of a file, or the environment's password; "" for none.

    Raises:
        InputError: both are set.
        OSError: the file can't be read.
    """
    password = os.environ.get(VARIABLE, "")
    if file is None:
        return password
    if password:
        raise InputError(f"expected Redis's password from {VARIABLE} or --redis-password-file, got both; leave one out")
    return file.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
