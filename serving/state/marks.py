"""Which changes are repetitions of earlier ones, by their marks: one rule for all stores."""

from serving.state.seam import Change

MARK_TTL_S = 3600  # how long a change is remembered at least, to tell its repetition


def repeats(change: Change, before_us: int | None) -> bool:
    """Whether a change repeats the last one with its mark, which was at `before_us`; None: there was none."""
    return before_us is not None and abs(change.time_us - before_us) <= change.span_us


def remembered_us(change: Change, before_us: int | None) -> int:
    """The time to be remembered with a change's mark, whether it counted or was a repetition."""
    return max(before_us, change.time_us) if before_us is not None and repeats(change, before_us) else change.time_us


def ttl_s(change: Change) -> int:
    """How long its mark is kept, in seconds."""
    return max(MARK_TTL_S, -(-change.span_us // 1_000_000))
