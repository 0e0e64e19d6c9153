"""Read the features of many keys at one moment, vectorized: the operations of `reducer.read`, so with the same bits."""

import math

import numpy as np
from numpy.typing import NDArray

from components.state.reducer import NEVER, Features, Rules, State


def read_rows(state: State, ks: NDArray[np.int64], time_us: int, session: int, rules: Rules, out: Features) -> None:
    """Write the features of the keys `ks` (Q,) at one moment into the Q rows of `out`, which are all zeros."""
    queries, actions, half_lives = len(ks), state.counts.shape[1], state.counts.shape[2]
    last = state.last_us[ks]
    never = last == NEVER
    now = np.maximum(last, time_us)
    elapsed = np.where(never, 0, now - last).astype(np.float64)  # (Q,)
    values = out.values
    # numpy's own exp2 may differ from the C library's in the last bit, and from one processor to the next.
    halvings = (-elapsed[:, None] / rules.half_lives_us).ravel().tolist()
    kept = np.array([math.exp2(halving) for halving in halvings]).reshape(queries, 1, half_lives)
    values[:, : actions * half_lives] = (state.counts[ks] * kept).reshape(queries, actions * half_lives)
    recency, total, running = actions * half_lives, actions * (half_lives + 1), actions * (half_lives + 2)
    seen = state.seen_us[ks]  # (Q, A)
    values[:, recency:total] = np.where(seen == NEVER, np.nan, (now[:, None] - seen) / 1e6)
    values[:, total:running] = state.totals[ks]
    over = never | (elapsed > rules.session_gap_us)
    if session:
        over |= state.session[ks] != session
    values[:, running] = np.where(over, 0, state.session_events[ks])
    values[:, running + 1] = np.where(over, 0, (now - state.session_start_us[ks]) / 1e6)

    ring = state.history_item.shape[1]
    if not ring:
        return
    written = state.written[ks]
    lengths = np.minimum(written, ring)
    out.history_len[:] = lengths
    for q in np.flatnonzero(lengths).tolist():
        k, length = ks[q], int(lengths[q])
        slots = np.arange(written[q] - length, written[q]) % ring
        out.history_item[q, :length] = state.history_item[k, slots]
        out.history_action[q, :length] = state.history_action[k, slots]
        out.history_age_s[q, :length] = (now[q] - state.history_us[k, slots]) / 1e6
