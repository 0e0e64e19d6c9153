"""What the service is asked, and the tensors that the model is asked in turn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Request:
    """In which order does a shopper see these products?

    Attributes:
        shopper: his id; "" a guest.
        candidates: L item ids, in the given order.
        time_us: the moment, microseconds since 1970, UTC.
        session: the visit's id; "" where none is known.
        request: the request's own id; ties a guest's events together.
        context: by feature, what event rows say of a request or its shopper: text, numbers, lists; what isn't given is missing.
        shown: by feature, L values: what is shown with each candidate.
        positions: L places; default: 0 to L - 1.
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
    """The tensors of a request, by the names of the SavedModel's `serving_default`, and what else was found out on the way.

    `tensors`: of a batch of one: [1] or [1, size] of the request, [1, H] of the history, [1, L] or [1, L, size] of the candidates, and [1]
    the lengths `n_history` and `n_candidates`. Texts are UTF-8 in arrays of objects. What a bucket adds behind a list is zeros and b"".
    `interactions`: how many labelled or remembered actions the shopper has taken so far: 0 is a cold start.
    `of_items`: (L, width) raw features of the candidates' state, laid out as the items' plan says; None where nothing is kept of items.
    `in_segment`: (L, width) the same within the request's segment; None where it has none.
    """

    tensors: dict[str, NDArray[Any]]
    interactions: int
    of_items: NDArray[np.float32] | None = None
    in_segment: NDArray[np.float32] | None = None
