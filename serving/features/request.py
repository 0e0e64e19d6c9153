"""Define a ranking request and the tensors it becomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Request:
    """Ask for the order of candidates for a shopper.

    Attributes:
        shopper: their id; "" a guest.
        candidates: L item ids, in the given order.
        time_us: microseconds since 1970, UTC.
        session: the visit's id; "" for none.
        request: the request's own id; ties a guest's events together.
        context: features of the request or its shopper in event rows: text, numbers, lists; absent ones are missing.
        shown: by feature, L values: what is shown with each candidate.
        positions: L positions; default: 0 to L - 1.
    """

    shopper: str
    candidates: Sequence[str]
    time_us: int
    session: str = ""
    request: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    shown: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    positions: Sequence[int] | None = None


@dataclass(frozen=True)
class Inputs:
    """Hold the tensors of a request by the SavedModel's input names, and what other stages need.

    Attributes:
        tensors: a batch of one: [1] or [1, size] of the request, [1, H] of the history, [1, L] or [1, L, size] of the
            candidates, and [1] the lengths `n_history` and `n_candidates`. Texts are UTF-8 in object arrays. Padding is
            0 and b"".
        interactions: labelled or remembered actions of the shopper so far; 0 is a cold start.
        of_items: (L, width) raw features of the candidates' state, laid out by the items' plan, or None.
        in_segment: (L, width) the same within the request's segment; None where it has none.
    """

    tensors: dict[str, NDArray[Any]]
    interactions: int
    of_items: NDArray[np.float32] | None = None
    in_segment: NDArray[np.float32] | None = None
