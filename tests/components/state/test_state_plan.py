"""The layout of the raw feature vector, the rules of a plan, and smoothed rates."""

import numpy as np
import pytest

from components.contract.errors import InputError
from components.state import plan as layout
from components.state.features import smoothed_rate
from components.state.plan import StatePlan, raw_names

FITTING = {
    "actions": ("impression", "click"),
    "half_lives_s": (3600.0, 86400.0, 604800.0),
    "history_actions": ("click",),
    "history_length": 20,
    "session_gap_us": 1_800_000_000,
}
PLAN = StatePlan(**FITTING)  # type: ignore[arg-type]


def test_each_index_points_at_its_name() -> None:
    names = raw_names(PLAN)
    assert len(names) == PLAN.width == 2 * 3 + 2 + 2 + 2
    assert names[layout.count_index(PLAN, "impression", half_life_s=604800.0)] == "count_impression_7d"
    assert names[layout.count_index(PLAN, "click", half_life_s=3600.0)] == "count_click_1h"
    assert names[layout.recency_index(PLAN, "click")] == "recency_click_s"
    assert names[layout.total_index(PLAN, "impression")] == "total_impression"
    assert names[layout.session_events_index(PLAN)] == "session_events"
    assert names[layout.session_age_index(PLAN)] == "session_age_s"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"actions": ()}, "1 to 127 actions, got 0"),
        ({"actions": tuple(f"a{i}" for i in range(128)), "history_actions": ("a1",)}, "1 to 127 actions, got 128"),
        ({"actions": ("click", "click")}, "stands twice"),
        ({"half_lives_s": (60.0, 60.0)}, "'count_click_1m' stands twice"),
        ({"half_lives_s": (60.0, 0.0)}, "got 0.0"),
        ({"half_lives_s": (float("inf"),)}, "got inf"),
        ({"half_lives_s": (float("nan"),)}, "got nan"),
        ({"history_actions": ("purchase",)}, "'purchase' isn't one of the plan's actions impression, click"),
        ({"history_actions": ()}, "0 actions and length 20"),
        ({"history_length": 0}, "1 actions and length 0"),
        ({"history_actions": (), "history_length": -1}, "0 actions and length -1"),
        ({"session_gap_us": 0}, "above 0 microseconds, got 0"),
    ],
)
def test_a_plan_that_breaks_a_rule_is_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        StatePlan(**{**FITTING, **change})  # type: ignore[arg-type]


def test_places_of_what_is_not_kept_are_refused() -> None:
    with pytest.raises(InputError, match="'purchase' isn't in the state plan, which counts impression, click"):
        layout.total_index(PLAN, "purchase")
    with pytest.raises(InputError, match="half-life 60 s isn't in the state plan, which has 3600, 86400, 604800"):
        layout.count_index(PLAN, "click", half_life_s=60.0)


def test_a_rate_moves_from_its_prior_to_the_evidence() -> None:
    rates = smoothed_rate([0, 3, 30], [0, 20, 1980], prior=0.1, strength=20.0)
    assert rates.dtype == np.float32
    np.testing.assert_allclose(rates, [1 / 10, 5 / 40, 32 / 2000], rtol=1e-6)


def test_a_rate_of_one_row_equals_that_row_of_a_column_bit_for_bit() -> None:
    rng = np.random.default_rng(3)
    n, d = rng.random(1_000, np.float32) * 50, rng.random(1_000, np.float32) * 999
    column = smoothed_rate(n, d, prior=0.0371, strength=17.3)
    single = [smoothed_rate(a, b, prior=0.0371, strength=17.3) for a, b in zip(n, d, strict=True)]
    assert column.tobytes() == np.array(single).tobytes()
    assert np.array(single).dtype == np.float32


@pytest.mark.parametrize("strength", [0.0, -1.0, float("nan")])
def test_a_prior_without_weight_is_refused(strength: float) -> None:
    with pytest.raises(InputError, match="strength of a prior is above 0"):
        smoothed_rate(1, 2, prior=0.1, strength=strength)
