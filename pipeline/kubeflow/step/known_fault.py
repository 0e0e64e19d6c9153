"""Keep a fault of a step's input from one attempt to the next.

Kubeflow tries a failed step again whatever failed, and offers no exit code by which a step could prevent it. A file that
can't be read in the first attempt won't be read in the second, so that one ends at once with the first one's sentence.
A run that is tried again from the UI counts its attempts anew, and reads its input again.
"""

import hashlib
import os
from contextlib import suppress

from components.contract.errors import InputError, ShelfRankError

RETRY_INDEX = "KFP_RETRY_INDEX"
"""Environment variable with the number of the attempt, from 0; Kubeflow 2.16.0 and older don't set it."""


def read_known_fault(folder: str, output_file: str) -> InputError | None:
    """Return the fault that an earlier attempt at this step found in its input; None where it isn't known.

    Args:
        folder: address of a folder that outlives the pod.
        output_file: of the step, which is the same in each attempt and in no other step or run.
    """
    if int(os.environ.get(RETRY_INDEX) or 0) == 0:
        return None
    from components.contract.storage.object_store import Address  # imports Arrow, which a first attempt doesn't need

    with suppress(ShelfRankError):
        if content := (Address.parse(folder) / _name(output_file)).read():
            return InputError(content.decode())
    return None


def write_known_fault(folder: str, output_file: str, fault: ShelfRankError) -> None:
    """Keep the fault for the next attempt; where the folder can't be written, that one reads its input again."""
    if RETRY_INDEX not in os.environ:
        return  # the next attempt won't know its number
    from components.contract.storage.object_store import Address

    with suppress(ShelfRankError, OSError):
        address = Address.parse(folder)
        if address.local is not None:
            address.local.mkdir(parents=True, exist_ok=True)
        (address / _name(output_file)).write(str(fault).encode())


def _name(output_file: str) -> str:
    return f"{hashlib.sha256(output_file.encode()).hexdigest()[:32]}.txt"
