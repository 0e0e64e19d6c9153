"""Sum the days of all policies up: quality, cost and trainings by phase; as a table and as JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.quarter.quality import Served, difference, joined
from benchmarks.quarter.shop import Quarter

NEVER, NIGHTLY, OURS = POLICIES = ("never", "nightly", "ours")
WHOLE = "all days"
_NO_DATA = float("nan")


@dataclass(frozen=True, kw_only=True)
class Day:
    """A policy's day.

    Attributes:
        served: its lists.
        seconds: of the processor in the night after it, by part of the work.
        did: what was done then, "" for nothing: `warm promoted`, `full refused`, `frozen`.
        why: the reasons.
    """

    served: Served
    seconds: Mapping[str, float]
    did: str
    why: str


Days = Mapping[str, Sequence[Day]]
"""The days by policy, of one seed."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A policy in a phase: mean over the seeds.

    Attributes:
        phase: its name.
        policy: its name.
        quality: expected clicks as a share of those of the best order.
        apart: of quality, minus nightly's, and half the width of its 95 % interval.
        seconds: of the processor.
        share: of nightly's seconds.
        did: what was done in how many nights, over all seeds.
    """

    phase: str
    policy: str
    quality: float
    apart: tuple[float, float]
    seconds: float
    share: float
    did: Mapping[str, int]

    @property
    def within(self) -> bool:
        """Whether it isn't surely worse than nightly."""
        return self.apart[0] + self.apart[1] >= 0


def rows(quarter: Quarter, seeds: Sequence[Days]) -> list[Row]:
    """Return the rows of all phases and of the quarter as a whole."""
    phases = {**quarter.phases(), WHOLE: range(quarter.days)}
    return [_row(phase, policy, days, seeds) for phase, days in phases.items() for policy in POLICIES]


def _row(phase: str, policy: str, days: range, seeds: Sequence[Days]) -> Row:
    own, nightly = ([[each[name][day] for day in days] for each in seeds] for name in (policy, NIGHTLY))
    served, theirs = ([joined([day.served for day in each]) for each in policy_days] for policy_days in (own, nightly))
    seconds, base = (float(np.mean([seconds_of(each) for each in policy_days])) for policy_days in (own, nightly))
    return Row(
        phase=phase,
        policy=policy,
        quality=float(np.mean([each.quality for each in served])),
        apart=(0.0, 0.0) if policy == NIGHTLY else difference(served, theirs),
        seconds=seconds,
        share=seconds / base if base else _NO_DATA,
        did=Counter(day.did for each in own for day in each if day.did),
    )


def seconds_of(days: Sequence[Day]) -> float:
    """Return the processor seconds of some days."""
    return sum(sum(day.seconds.values()) for day in days)


def table(quarter: Quarter, made: Sequence[Row]) -> Table:
    """Render the table."""
    result = Table(title=f"{quarter.days} days of about {quarter.requests:,} requests: share of the clicks of the best order")
    for name in ("", "policy", "quality", "- nightly", "CPU s", "of nightly", "nights"):
        result.add_column(name, justify="right" if name in ("quality", "- nightly", "CPU s", "of nightly") else "left")
    for row in made:
        result.add_row(*cells(row), end_section=row.policy == POLICIES[-1])
    return result


def cells(row: Row) -> tuple[str, ...]:
    """Return the texts of a row."""
    apart = "" if row.policy == NIGHTLY else f"{row.apart[0]:+.4f} ± {row.apart[1]:.4f}"
    share = "" if np.isnan(row.share) else f"{row.share:.2f}"
    did = ", ".join(f"{number} {what}" for what, number in sorted(row.did.items()))
    phase = row.phase if row.policy == POLICIES[0] else ""
    return phase, row.policy, f"{row.quality:.4f}", apart, f"{row.seconds:,.0f}", share, did


def document(quarter: Quarter, made: Sequence[Row], seeds: Sequence[Days]) -> dict[str, Any]:
    """Return what `--json` writes."""
    return {
        "days": quarter.days,
        "requests": quarter.requests,
        "seeds": len(seeds),
        "drift_day": quarter.drift_day,
        "broken_days": list(quarter.broken_days),
        "phases": [
            {
                "phase": row.phase,
                "policy": row.policy,
                "quality": row.quality,
                "minus_nightly": row.apart[0],
                "half_width": row.apart[1],
                "cpu_s": row.seconds,
                "of_nightly": None if np.isnan(row.share) else row.share,
                "nights": dict(row.did),
            }
            for row in made
        ],
        "by_day": [
            {
                policy: [{"quality": day.served.quality, "cpu_s": dict(day.seconds), "did": day.did, "why": day.why} for day in days]
                for policy, days in each.items()
            }
            for each in seeds
        ],
    }
