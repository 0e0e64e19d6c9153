"""Count the shoppers of a slice and their effective number, the degrees of freedom of an interval over shoppers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.evaluation.metrics.id_hashes import is_sampled, sampling_bits

MAX_SHOPPERS = 4_096  # 0.1 MB at most for a slice and model


@dataclass(frozen=True, slots=True)
class UserCounts:
    """Requests by shopper, of all while they fit, else of a sample of 1 in 2^`bits` by hash, as in `user_sample`.

    Only requests with a positive are counted, as most metrics are undefined in the others.
    """

    user: NDArray[np.uint64]  # [S], hashes, ascending
    requests: NDArray[np.int64]  # [S], with a positive
    bits: int = 0

    @classmethod
    def from_users(cls, user: NDArray[np.uint64], positive: NDArray[np.bool_]) -> "UserCounts":
        """Count, given the shopper of each request [R] and whether the request has a positive [R]."""
        return _fitted(user, positive.astype(np.int64), 0)

    def __add__(self, other: "UserCounts") -> "UserCounts":
        """Add the counts of both sets of requests."""
        joined = (np.concatenate([self.user, other.user]), np.concatenate([self.requests, other.requests]))
        return _fitted(*joined, max(self.bits, other.bits))

    @property
    def shoppers(self) -> int:
        """The number of shoppers; an estimate once they are sampled."""
        return len(self.user) << self.bits

    @property
    def without_positive(self) -> int:
        """The number of shoppers without a request with a positive; likewise."""
        return int((self.requests == 0).sum()) << self.bits

    @property
    def effective(self) -> float:
        """Kish's effective number (1965) of those with a positive: (sum n)^2 / sum n^2 over their requests n."""
        n = self.requests.astype(np.float64)
        return float(n.sum() ** 2 / (n**2).sum() * 2**self.bits) if n.any() else 0.0


NO_COUNTS = UserCounts(np.empty(0, np.uint64), np.empty(0, np.int64))


def _fitted(user: NDArray[np.uint64], requests: NDArray[np.int64], bits: int) -> UserCounts:
    order = np.argsort(user, kind="stable")  # two samples that are sorted are merged
    user = user[order]
    start = np.flatnonzero(np.concatenate([[True], user[1:] != user[:-1]])) if len(user) else np.empty(0, np.intp)
    distinct = user[start]
    summed = np.add.reduceat(requests[order], start) if len(start) else requests
    bits = sampling_bits(distinct, bits, most=MAX_SHOPPERS)
    kept = is_sampled(distinct, bits)
    return UserCounts(distinct[kept], summed[kept], bits)
