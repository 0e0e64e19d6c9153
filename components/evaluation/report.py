"""The evaluation as one self-contained HTML page that can be mailed: no script, no font, no image from elsewhere."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from components.evaluation.captions import metric_caption, slice_caption
from components.evaluation.charts import Bar, bar_chart, line_chart
from components.evaluation.results import SliceMetrics, compared
from components.evaluation.table import COLUMNS, change_text, value_text
from components.evaluation.verdict import Verdict

MAX_BARS = 30  # a plot of more slices than this can't be read; the table has them all


@dataclass(frozen=True, slots=True)
class Epoch:
    """What training said after one pass over the data."""

    loss: float
    eval_auc: float


@dataclass(frozen=True, slots=True)
class RankedCandidate:
    """One place of the example, from the top."""

    item: str
    title: str
    score: float
    label: float


@dataclass(frozen=True, slots=True)
class RankedRequest:
    """A request of the test window as the challenger ranks it."""

    caption: str
    candidates: tuple[RankedCandidate, ...]


@dataclass(frozen=True, slots=True)
class ReportContent:
    """All that the page shows. A part that is left out is not on the page."""

    dataset: str
    made_at: datetime
    verdict: Verdict
    metrics: tuple[SliceMetrics, ...]
    windows: Mapping[str, str] = field(default_factory=dict)  # "test": "2026-01-01 to 2026-01-15"
    ingestion: Mapping[str, int] = field(default_factory=dict)  # "read": 100, "kept": 98, "dropped: duplicate": 2
    training: tuple[Epoch, ...] = ()
    example: RankedRequest | None = None


def render(content: ReportContent) -> str:
    """The page."""
    comparisons = compared(content.metrics)
    with_auc = [each for each in comparisons if not math.isnan(each.challenger["auc"])]
    bars = [Bar(slice_caption(each.slice), each.challenger["auc"], each.champion["auc"]) for each in with_auc[:MAX_BARS]]
    aucs = [epoch.eval_auc for epoch in content.training]
    best = aucs.index(max(aucs)) if aucs else None
    environment = Environment(
        loader=PackageLoader("components.evaluation", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"value": value_text, "change": change_text, "metric": metric_caption, "slice": slice_caption}
    return environment.get_template("report.html.j2").render(
        content=content,
        comparisons=comparisons,
        columns=(*COLUMNS, "mrr", "log_loss"),
        lower_is_better={"log_loss"},
        auc_plot=bar_chart(bars, title="AUC by slice"),
        bars_left_out=max(0, len(with_auc) - MAX_BARS),
        best=best,
        loss_plot=line_chart([epoch.loss for epoch in content.training], title="Training loss by epoch"),
        eval_plot=line_chart(aucs, title="Eval AUC by epoch", best=best),
    )
