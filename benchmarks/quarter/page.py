"""Render the quarter as one self-contained HTML page that can be mailed, in the style of the evaluation's page."""

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate

import numpy as np
from jinja2 import PackageLoader, PrefixLoader
from markupsafe import Markup

from benchmarks.quarter.result import NEVER, NIGHTLY, OURS, POLICIES, Days, Row, cells, seconds_of
from benchmarks.quarter.shop import Quarter
from components.evaluation.report.charts import WIDTH, Series, curve_chart
from components.evaluation.report.page_environment import page_environment

_NAMED = 12  # days with a name on the axis


def render(quarter: Quarter, made: Sequence[Row], seeds: Sequence[Days]) -> str:
    """Render the page."""
    environment = page_environment(
        PrefixLoader(
            {"quarter": PackageLoader("benchmarks.quarter", "."), "evaluation": PackageLoader("components.evaluation.report", ".")}
        )
    )
    whole = {row.policy: row for row in made[-len(POLICIES) :]}
    return environment.get_template("quarter/quarter.html.j2").render(
        quarter=quarter,
        seeds=len(seeds),
        ours=whole[OURS],
        nightly=whole[NIGHTLY],
        rows=[(row, cells(row)) for row in made],
        plots=_plots(quarter, seeds),
        nights=[(at, day.did, day.why) for at, day in enumerate(seeds[0][OURS]) if day.did],
    )


def _plots(quarter: Quarter, seeds: Sequence[Days]) -> dict[str, Markup]:
    days = range(quarter.days)

    def quality(policy: str, at: int) -> float:
        return float(np.mean([each[policy][at].served.quality for each in seeds]))

    def minutes(policy: str, at: int) -> float:
        return float(np.mean([seconds_of([each[policy][at]]) for each in seeds])) / 60

    lines = {
        "Quality by day": [_series(policy, [quality(policy, at) for at in days]) for policy in POLICIES],
        "Quality minus nightly's by day": [
            _series(policy, [quality(policy, at) - quality(NIGHTLY, at) for at in days]) for policy in (NEVER, OURS)
        ],
        "Processor minutes so far": [_series(policy, accumulate(minutes(policy, at) for at in days)) for policy in POLICIES],
    }
    return {title: _plot(quarter, series, title) for title, series in lines.items()}


def _series(policy: str, values: Iterable[float]) -> Series:
    return Series(policy, [(float(at), float(value), math.nan) for at, value in enumerate(values)])


def _plot(quarter: Quarter, series: Sequence[Series], title: str) -> Markup:
    step = max(1, -(-quarter.days // _NAMED))
    marks = {quarter.drift_day: "drift", quarter.broken_days.start: "down"}
    near = [any(abs(at - mark) < step for mark in marks) for at in range(quarter.days)]
    names = [marks.get(at, str(at) if at % step == 0 and not near[at] else "") for at in range(quarter.days)]
    return curve_chart(series, title=title, x_names=names, width=WIDTH)
