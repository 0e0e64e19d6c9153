"""Find the request that a click belongs to: ingestion's rule, for a click that names a request id."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter


@dataclass(frozen=True)
class AnsweredRequest:
    """Identify a request that was answered. A request id is unique within its shopper and session, for a while."""

    shopper: str
    session: str  # "" where none was named
    time_us: int


@dataclass(frozen=True)
class Click:
    """Identify a click on a list; `shopper` is "" where the log has none, `session` where none was named."""

    request: str
    shopper: str
    session: str
    time_us: int


def clicked_request(click: Click, requests: Sequence[AnsweredRequest], *, window_us: int, gap_us: int) -> AnsweredRequest | None:
    """Return the request that a click belongs to, None where there is none or it is ambiguous.

    It is the clicking shopper's own, the last one before the click, of the click's session if there is one. Where none
    was shown to that shopper it is the only other shopper's, within the session or else at all, as after a login.

    Args:
        click: that names the request id.
        requests: of that id, by any shopper.
        window_us: how long after its request a click counts.
        gap_us: clock skew: a click may be this much before its request.
    """
    near = [request for request in requests if -gap_us <= click.time_us - request.time_us <= window_us]
    same_session = [request for request in near if click.session and request.session == click.session]
    own = [request for request in near if click.shopper and request.shopper == click.shopper]
    candidates = own or same_session or near
    if len({request.shopper for request in candidates}) != 1:
        return None
    best = [request for request in candidates if request in same_session] or candidates
    before = [request for request in best if request.time_us <= click.time_us]
    by_time = attrgetter("time_us")
    return max(before, key=by_time) if before else min(best, key=by_time)
