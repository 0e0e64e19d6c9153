"""Check the times of events: one rule for the service and for ingestion."""

from components.contract.errors import InputError

EARLIEST_US = 631_152_000_000_000  # 1990: no log is older; a smaller number is a time in a wrong unit
AHEAD_US = 5_000_000  # clocks synchronized by NTP differ by less
_UNITS = (("seconds", 1_000_000), ("milliseconds", 1_000))


def event_time_us(time_us: int, *, now_us: int) -> int:
    """Return an event's time, or `now_us` where it is ahead by no more than AHEAD_US.

    Args:
        time_us: the event's own, microseconds since 1970.
        now_us: when it was received.

    Raises:
        InputError: it lies before 1990, as a time in another unit does, or further ahead.
    """
    if type(time_us) is int and EARLIEST_US <= time_us <= now_us + AHEAD_US:
        return min(time_us, now_us)
    if type(time_us) is int and time_us > now_us:
        nanoseconds = EARLIEST_US * 1_000 <= time_us <= (now_us + AHEAD_US) * 1_000
        remedy = "these look like nanoseconds, so divide by 1,000" if nanoseconds else "correct the clock"
    else:
        unit = next((name for name, scale in _UNITS if type(time_us) is int and _is_plausible(time_us * scale, now_us)), None)
        remedy = f"these look like {unit}, so multiply by {dict(_UNITS)[unit]:,}" if unit else "correct it, or leave it out: then it is now"
    raise InputError(f"expected a time in microseconds since 1970, from 1990 up to now ({now_us}), got {time_us!r}; {remedy}")


def _is_plausible(time_us: int, now_us: int) -> bool:
    return EARLIEST_US <= time_us <= now_us + AHEAD_US
