"""Rates that a prior steadies where there is little evidence."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from components.contract.errors import InputError


def smoothed_rate(n: ArrayLike, d: ArrayLike, *, prior: float, strength: float) -> NDArray[np.float32]:
    """(n + prior * strength) / (d + strength): the mean of a Beta posterior whose prior weighs `strength` observations.

    Computed in float32 one element at a time, so that offline columns and a single row online agree bit for bit. It exceeds 1 where
    n exceeds d, as with clicks whose impressions weren't logged.

    Args:
        n: successes, such as clicks; any shape.
        d: trials, such as impressions; a shape that broadcasts with it.
        prior: the rate without evidence.
        strength: > 0.

    Raises:
        InputError: when `strength` isn't above 0, which would leave 0 / 0 for keys never seen.
    """
    if not strength > 0:
        raise InputError(f"the strength of a prior is above 0, got {strength}; it is the number of trials that the prior weighs")
    weight = np.float32(strength)
    return (np.asarray(n, np.float32) + np.float32(prior) * weight) / (np.asarray(d, np.float32) + weight)
