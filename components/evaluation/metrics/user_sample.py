"""Keep the candidates of a sample of shoppers, drawn by hash, to compute GAUC by shopper in bounded memory."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.evaluation.metrics.id_hashes import is_sampled, sampling_bits
from components.evaluation.metrics.vectorized_metrics import Ranked, Terms, listwise

MAX_CANDIDATES = 65_536  # 0.9 MB at most for a slice and model


@dataclass(frozen=True, slots=True)
class UserSample:
    """All candidates of every shopper whose hash begins with `bits` zero bits.

    `bits` is the least that leaves at most `MAX_CANDIDATES`: 0, all shoppers, while they fit. It depends on the set
    alone, so merging is associative and commutative. Shoppers are sampled whole and uniformly, so estimates are
    unbiased.
    """

    user: NDArray[np.uint64]  # [M], the hash of the candidate's shopper
    scores: NDArray[np.float32]  # [M]
    positive: NDArray[np.bool_]  # [M]
    bits: int = 0

    @classmethod
    def from_users(cls, user: NDArray[np.uint64], scores: NDArray[np.float32], positive: NDArray[np.bool_]) -> "UserSample":
        """Sample from candidates [N]."""
        return _fitted(user, scores, positive, 0)

    def __add__(self, other: "UserSample") -> "UserSample":
        """Merge both samples."""
        return _fitted(
            np.concatenate([self.user, other.user]),
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.positive, other.positive]),
            max(self.bits, other.bits),
        )

    def gauc(self) -> tuple[NDArray[np.uint64], Terms]:
        """Return the sampled shoppers [U], and the AUC of each over all impressions, weighted by their number."""
        order = np.argsort(self.user, kind="stable")
        user, lengths = np.unique(self.user, return_counts=True)
        positive = self.positive[order]
        return user, listwise(
            "gauc", Ranked.from_scores(self.scores[order], positive, gains=positive.astype(np.float32), row_lengths=lengths)
        )


NO_USERS = UserSample(np.empty(0, np.uint64), np.empty(0, np.float32), np.empty(0, np.bool_))


def _fitted(user: NDArray[np.uint64], scores: NDArray[np.float32], positive: NDArray[np.bool_], bits: int) -> UserSample:
    bits = sampling_bits(user, bits, most=MAX_CANDIDATES)
    kept = is_sampled(user, bits)
    return UserSample(user[kept], scores[kept], positive[kept], bits)
