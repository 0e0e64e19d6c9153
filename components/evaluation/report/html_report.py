"""Render the evaluation as one self-contained HTML page that can be mailed: no script, no external font or image."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from jinja2 import PackageLoader
from markupsafe import Markup

from components.evaluation.display_names import metric_caption, metric_meaning, slice_caption
from components.evaluation.gates.gate_result import GateResult
from components.evaluation.importance.feature_importance import METRICS as DROPPED
from components.evaluation.importance.feature_importance import Importance
from components.evaluation.metrics.curves import Curves
from components.evaluation.report.charts import Interval, Series, bar_chart, curve_chart, histogram, interval_chart
from components.evaluation.report.page_environment import page_environment
from components.evaluation.report.summary import falls, owner_sentences
from components.evaluation.report.table import change_text, overall_metrics, slice_columns, surely, value_text
from components.evaluation.results import CHALLENGER, CHAMPION, Comparison, Model, SliceMetrics, compared, margin

MAX_ROWS = 40  # a plot of more slices than this can't be read; the table has them all
COLD_START = "interactions"
COLD_START_METRICS = ("auc", "ndcg_at_10")


@dataclass(frozen=True, slots=True)
class Epoch:
    """The training loss and the eval AUC of an epoch."""

    loss: float
    eval_auc: float


@dataclass(frozen=True, slots=True)
class RankedCandidate:
    """A candidate of the example request."""

    item: str
    title: str
    score: float
    label: float


@dataclass(frozen=True, slots=True)
class RankedRequest:
    """A request of the test window with its candidates as the challenger ranks them, best first."""

    caption: str
    candidates: tuple[RankedCandidate, ...]


@dataclass(frozen=True, slots=True)
class ReportContent:
    """The content of the page. A part that is left out is not on the page."""

    dataset: str
    made_at: datetime
    verdict: GateResult
    metrics: tuple[SliceMetrics, ...]
    windows: Mapping[str, str] = field(default_factory=dict)  # "test": "2026-01-01 to 2026-01-15"
    ingestion: Mapping[str, int] = field(default_factory=dict)  # "read": 100, "kept": 98, "dropped: duplicate": 2
    training: tuple[Epoch, ...] = ()
    example: RankedRequest | None = None
    champion: str = "champion"
    champion_order: str = "the champion's order"  # see `components.champion.baseline_rule`
    release: int | None = None
    curves: Mapping[Model, Curves] = field(default_factory=dict)
    importance: Importance | None = None
    drift: tuple[str, ...] = ()  # what changed since the champion was made: first the decision, then its reasons


def render(content: ReportContent) -> str:
    """Render the page as HTML."""
    comparisons = compared(content.metrics)
    with_auc = [each for each in comparisons if not math.isnan(each.challenger["auc"])]
    largest = {id(each) for each in sorted(with_auc, key=lambda each: -each.challenger["requests"])[:MAX_ROWS]}
    rows = [
        Interval(slice_caption(each.slice), each.challenger["auc"], margin(each.challenger, "auc"), each.champion["auc"])
        for each in with_auc
        if id(each) in largest
    ]
    overall = comparisons[0] if comparisons and not comparisons[0].slice else None
    fell = falls(comparisons)
    aucs = [epoch.eval_auc for epoch in content.training]
    environment = page_environment(PackageLoader("components.evaluation.report", "."))
    environment.filters |= {"value": value_text, "change": change_text, "metric": metric_caption, "slice": slice_caption}
    environment.filters |= {"meaning": metric_meaning}
    return environment.get_template("report.html.j2").render(
        content=content,
        comparisons=comparisons,
        overall=overall,
        sentences=owner_sentences(overall, content.verdict, release=content.release, champion_order=content.champion_order),
        surely_fell=[fall for fall in fell if fall.sure],
        perhaps_fell=[
            (metric, [*each]) for metric, each in groupby((fall for fall in fell if not fall.sure), key=lambda fall: fall.metric)
        ],
        overall_metrics=overall_metrics,
        columns=(*slice_columns(comparisons), "mrr", "log_loss"),
        surely=surely,
        margin=margin,
        auc_plot=interval_chart(rows, title="AUC by slice"),
        rows_left_out=max(0, len(with_auc) - MAX_ROWS),
        best=aucs.index(max(aucs)) if aucs else None,
        loss_plot=_by_epoch([epoch.loss for epoch in content.training], title="Training loss by epoch"),
        eval_plot=_by_epoch(aucs, title="Eval AUC by epoch"),
        cold_start=[(metric, _cold_start(comparisons, metric)) for metric in COLD_START_METRICS],
        importance_plots=_importance_plots(content.importance) if content.importance else [],
        **_curve_plots(content.curves),
    )


def _by_epoch(values: Sequence[float], *, title: str) -> Markup:
    return curve_chart([Series(CHALLENGER, [(i, value, math.nan) for i, value in enumerate(values, 1)])], title=title, height=180)


def _cold_start(comparisons: Sequence[Comparison], metric: str) -> Markup:
    """Draw a metric by the number of the shopper's interactions so far."""
    bands = [each for each in comparisons if [name for name, _ in each.slice] == [COLD_START]]
    bands.sort(key=lambda each: int(re.split(r"\D", each.slice[0][1])[0] or 0))
    series = [
        Series(CHAMPION, [(i, each.champion[metric], margin(each.champion, metric)) for i, each in enumerate(bands)]),
        Series(CHALLENGER, [(i + 0.06, each.challenger[metric], margin(each.challenger, metric)) for i, each in enumerate(bands)]),
    ]
    return curve_chart(series, title=f"{metric_caption(metric)} by interactions so far", x_names=[each.slice[0][1] for each in bands])


def _importance_plots(importance: Importance) -> list[tuple[str, Markup]]:
    """A plot for each metric, the features of each in an order of their own."""
    plots = []
    for metric in DROPPED:
        ranked = [(each.feature, each.drops[metric]) for each in importance.ranked(metric)[:MAX_ROWS]]
        bars = [Interval(name, drop.value or 0.0, math.nan if drop.margin is None else drop.margin, math.nan) for name, drop in ranked]
        plots.append((metric, bar_chart(bars, title=f"What {metric_caption(metric)} falls by without a feature")))
    return plots


def _lift(places: Sequence[tuple[float, float]]) -> list[tuple[float, float, float]]:
    """Return the lift by position, without the positions that few lists reach: those are noise."""
    enough = places[0][0] / 20 if places else 0.0
    return [(position, times, math.nan) for position, (shown, times) in enumerate(places, 1) if shown >= enough]


def _curve_plots(curves: Mapping[Model, Curves]) -> dict[str, Markup]:
    models = [model for model in (CHAMPION, CHALLENGER) if model in curves]
    calibration = [Series(model, [(score, share, math.nan) for _, score, share in curves[model]["calibration"]]) for model in models]
    lift = [Series(model, _lift(curves[model]["places"])) for model in models]
    scores: Curves = curves[CHALLENGER]["scores"] if CHALLENGER in curves else {"top": 1.0, "without": [], "with": []}
    groups = [("negative", scores["without"]), ("positive", scores["with"])]
    return {
        "calibration_plot": curve_chart(calibration, title="Share of positives by mean score", diagonal=True),
        "lift_plot": curve_chart(lift, title="Lift by place"),
        "scores_plot": histogram(groups, top=scores["top"], title="Distribution of the scores"),
    }
