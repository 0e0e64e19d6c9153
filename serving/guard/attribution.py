"""Find the request that a click belongs to: ingestion's rule, for a click that names one."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class AnsweredRequest:
    """A request that was answered. An id is one within its shopper and session, and within a stretch of time."""

    shopper: str
    session: str  # "" where none was named
    time_us: int


@dataclass(frozen=True)
class Click:
    """A click on a list; `shopper` is "" where the log doesn't say who clicked, `session` where none was named."""

    request: str
    shopper: str
    session: str
    time_us: int


def clicked_request(click: Click, shown: Sequence[AnsweredRequest], *, window_us: int, gap_us: int) -> AnsweredRequest | None:
    """The request that a click belongs to, None where it belongs to none or that can't be said.

    It is the clicking shopper's own, the last one before the click, of the click's session if there is one. Where none was shown to that
    shopper it is the only other shopper's, within the session or else at all, as after a login; of several none can be chosen.

    Args:
        click: which names the id.
        shown: the requests of that id, whoever asked.
        window_us: how long after its request a click counts.
        gap_us: a click that seems to come before its request by no more was timed by another clock.
    """
    near = [request for request in shown if -gap_us <= click.time_us - request.time_us <= window_us]
    visit = [request for request in near if click.session and request.session == click.session]
    own = [request for request in near if click.shopper and request.shopper == click.shopper]
    theirs = own or visit or near
    if len({request.shopper for request in theirs}) != 1:
        return None
    mine = [request for request in theirs if request in visit] or theirs
    before = [request for request in mine if request.time_us <= click.time_us]
    return max(before, key=_time) if before else min(mine, key=_time)


def _time(request: AnsweredRequest) -> int:
    return request.time_us
