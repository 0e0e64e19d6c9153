"""The state plan: which counts, times and histories are kept of a key, and their indices in the raw feature vector."""

import math
from dataclasses import dataclass

from components.contract.base_model import duration_name
from components.contract.errors import InputError

MAX_ACTIONS = 127  # an action is an int8


@dataclass(frozen=True)
class StatePlan:
    """Settings of the state that is kept of each user, or of each item.

    With A actions and H half-lives, the raw features of a key at a moment are a vector of `width` = A*H + 2*A + 2:

    | offset    | size | what                                                                                  |
    |-----------|------|---------------------------------------------------------------------------------------|
    | 0         | A*H  | decayed counts, action by action: sum_i weight_i * 2^(-(t - t_i) / half_life)          |
    | A*H       | A    | recency: seconds since the last event of the action, NaN if there was none             |
    | A*H + A   | A    | lifetime totals: sum_i weight_i                                                        |
    | A*H + 2*A | 2    | events in the running session, seconds since its first; 0 and 0 when none is running   |

    Beside the vector there is the history: the last `history_length` events of the `history_actions`, oldest first.

    Attributes:
        actions: names, distinct; an event's action is an index into this tuple.
        half_lives_s: of the decayed counts, distinct, each > 0.
        history_actions: those of `actions` that enter the history.
        history_length: how many of them are kept; 0 where `history_actions` is empty.
        session_gap_us: a longer pause ends a session; > 0.

    Raises:
        InputError: when one of these rules is broken.
    """

    actions: tuple[str, ...]
    half_lives_s: tuple[float, ...]
    history_actions: tuple[str, ...]
    history_length: int
    session_gap_us: int

    def __post_init__(self) -> None:
        """Check the rules; raises InputError."""
        if not 1 <= len(self.actions) <= MAX_ACTIONS:
            raise InputError(f"a state plan takes 1 to {MAX_ACTIONS} actions, got {len(self.actions)}; name those that count")
        if wrong := [h for h in self.half_lives_s if not (math.isfinite(h) and h > 0)]:
            raise InputError(f"a half-life is a finite number of seconds above 0, got {wrong[0]!r}; correct or drop it")
        names = raw_names(self)
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"a state plan names each action and each half-life once, but {twice[0]!r} stands twice; drop one")
        if strangers := [a for a in self.history_actions if a not in self.actions]:
            known = ", ".join(self.actions)
            raise InputError(f"history action {strangers[0]!r} isn't one of the plan's actions {known}; add it to them or drop it")
        if self.history_length < 0 or bool(self.history_actions) != (self.history_length > 0):
            raise InputError(
                f"a history takes actions and a length above 0, got {len(self.history_actions)} actions and length {self.history_length};"
                " give both, or none and 0"
            )
        if self.session_gap_us <= 0:
            raise InputError(f"a session gap is above 0 microseconds, got {self.session_gap_us}; 30 minutes are 1_800_000_000")

    @property
    def width(self) -> int:
        """The length of the raw feature vector."""
        return session_age_index(self) + 1


def raw_names(plan: StatePlan) -> tuple[str, ...]:
    """Name each element of the raw feature vector, such as `count_click_7d`, `recency_click_s`, `total_click`."""
    return (
        *(f"count_{action}_{duration_name(half_life)}" for action in plan.actions for half_life in plan.half_lives_s),
        *(f"recency_{action}_s" for action in plan.actions),
        *(f"total_{action}" for action in plan.actions),
        "session_events",
        "session_age_s",
    )


def action_index(plan: StatePlan, action: str) -> int:
    """Return the action's index among the plan's; raises InputError for an unknown one."""
    if action not in plan.actions:
        known = ", ".join(plan.actions)
        raise InputError(f"action {action!r} isn't in the state plan, which counts {known}; add it, or leave its events out")
    return plan.actions.index(action)


def count_index(plan: StatePlan, action: str, *, half_life_s: float) -> int:
    """Return the index of an action's decayed count in the raw feature vector."""
    if half_life_s not in plan.half_lives_s:
        known = ", ".join(f"{h:g}" for h in plan.half_lives_s)
        raise InputError(f"half-life {half_life_s:g} s isn't in the state plan, which has {known}; add it to the plan")
    return action_index(plan, action) * len(plan.half_lives_s) + plan.half_lives_s.index(half_life_s)


def recency_index(plan: StatePlan, action: str) -> int:
    """Return the index of the seconds since an action's last event."""
    return len(plan.actions) * len(plan.half_lives_s) + action_index(plan, action)


def total_index(plan: StatePlan, action: str) -> int:
    """Return the index of an action's lifetime total."""
    return len(plan.actions) * (len(plan.half_lives_s) + 1) + action_index(plan, action)


def session_events_index(plan: StatePlan) -> int:
    """Return the index of the number of events in the running session."""
    return len(plan.actions) * (len(plan.half_lives_s) + 2)


def session_age_index(plan: StatePlan) -> int:
    """Return the index of the seconds since the running session began."""
    return session_events_index(plan) + 1
