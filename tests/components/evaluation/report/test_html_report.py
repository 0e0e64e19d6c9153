"""Table, JSON and page show every slice, and what is undefined as such."""

import io
import json
import math
import re
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from components.contract.dataset import Gates
from components.evaluation.display_names import metric_caption
from components.evaluation.gates.gate_result import check_gates
from components.evaluation.importance.feature_importance import Drop, FeatureDrops, Importance
from components.evaluation.metrics.curves import curves
from components.evaluation.metrics.intervals import half_width
from components.evaluation.metrics.metric_accumulator import AMOUNT_METRICS, ESTIMATED, METRICS, RankingSums
from components.evaluation.metrics.standard_errors import change_error_of, error_of
from components.evaluation.report.charts import Interval, Series, bar_chart, curve_chart, histogram, interval_chart, pair_chart
from components.evaluation.report.html_report import Epoch, RankedCandidate, RankedRequest, ReportContent, render
from components.evaluation.report.table import (
    COLUMNS,
    change_text,
    importance_table,
    metrics_rows,
    metrics_table,
    overall_table,
    slice_columns,
    surely,
)
from components.evaluation.results import Comparison, SliceMetrics, compared, from_json, to_json
from tests.components.evaluation.summed import sums

EVIL = '<script>"&'


def _metrics() -> tuple[SliceMetrics, ...]:
    errors = {error_of(name): 0.01 for name in ESTIMATED}
    values = (
        dict.fromkeys(METRICS, 0.5) | errors | {"requests": 1234.0, "requests_without_positive": 34.0, "auc": 0.75, "invalid_scores": 0.0}
    )
    values |= {"shoppers": 500.0, "shoppers_without_positive": 20.0, "effective_shoppers": 400.0}
    undefined = values | {"auc": math.nan, "requests": 3.0}
    known = ((("interactions", band),) for band in ("10+", "0"))
    slices = (((("device", EVIL),), undefined), ((), values), ((("device", "ios"),), values | {"requests": 900.0}))
    slices += tuple((band, values | {"requests": 100.0}) for band in known)
    changes = {change_error_of(name): 0.005 for name in ESTIMATED}
    models = (("challenger", changes), ("champion", {}))
    return tuple(SliceMetrics(where, model, mine | more) for where, mine in slices for model, more in models)


def _shop() -> RankingSums:
    labels, scores = np.array([1, 0, 0, 1], np.float32), np.array([0.9, 0.1, 0.4, 0.2], np.float32)
    return sums(labels, scores, gains=labels, row_lengths=np.array([2, 2]))


def _importance() -> Importance:
    falls = {"weak": (0.001, 0.004), EVIL: (0.25, 0.01), "worse": (-0.02, None), "unknown": (None, None)}
    features = [FeatureDrops(name, {"auc": Drop(*fall), "ndcg_at_10": Drop(fall[0], fall[1])}) for name, fall in falls.items()]
    return Importance(1_000, 11_027, 2, tuple(features))


def _content() -> ReportContent:
    metrics = _metrics()
    return ReportContent(
        dataset="a_shop",
        made_at=datetime(2026, 1, 2, 3, 4),
        verdict=check_gates(metrics, Gates(floor={"auc": 0.8}), slices=[["device"]]),
        metrics=metrics,
        windows={"test": "from here to there"},
        ingestion={"read": 12_345, "dropped: duplicate": 6},
        training=(Epoch(0.5, 0.7), Epoch(0.4, 0.8), Epoch(0.3, 0.75)),
        champion="release 7",
        importance=_importance(),
        curves={model: curves(_shop()) for model in ("challenger", "champion")},
        example=RankedRequest("device=ios", (RankedCandidate("i1", EVIL, 0.9, 1.0), RankedCandidate("i2", "Shoe", 0.8, 0.0))),
    )


class _Page(HTMLParser):
    VOID = frozenset({"br", "meta", "line", "rect", "circle", "polyline", "polygon"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in self.VOID or self.open.pop() == tag


def test_slices_are_ordered_all_first_then_by_size() -> None:
    assert [each.slice for each in compared(_metrics())][:3] == [(), (("device", "ios"),), (("device", EVIL),)]


def test_results_survive_json() -> None:
    again = from_json(json.loads(json.dumps(to_json(_metrics()), allow_nan=False)))
    assert to_json(again) == to_json(_metrics())
    assert [entry.slice for entry in again] == [entry.slice for entry in _metrics()]
    assert math.isnan(again[0].values["auc"])


def test_table_shows_slices_with_requests_values_and_changes() -> None:
    out = io.StringIO()
    Console(file=out, width=140).print(metrics_table(_metrics()))
    rows = [line for line in out.getvalue().splitlines() if "│" in line]
    assert "1,234" in rows[0]
    assert "0.750  0.000" in rows[0]
    assert " - " in rows[2]
    Console(file=out, width=140).print(overall_table(_metrics()))
    assert "0.750 ± 0.020" in out.getvalue()


@pytest.mark.parametrize(("width", "parts"), [(40, 8), (80, 3), (100, 2), (140, 2), (300, 1)])
def test_a_narrow_console_gets_further_tables_and_no_cell_is_lost(width: int, parts: int) -> None:
    metrics = _metrics()
    columns = slice_columns(compared(metrics))
    assert columns[-3:] == ("revenue_at_5", "quantity_at_5", "margin_at_5")
    told = {(place, name): 0.1 + 0.001 * (17 * place + at) for place in range(5) for at, name in enumerate(columns)}
    distinct = tuple(
        replace(entry, values=entry.values | {name: told[at // 2, name] + 0.0 * (at % 2) for name in columns})
        for at, entry in enumerate(metrics)
    )
    out = io.StringIO()
    Console(file=out, width=width).print(metrics_table(distinct))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    heads = [cell.strip() for line in lines if "┃" in line for cell in line.strip("┃").split("┃")]
    assert [head for head in heads if head not in ("slice", "requests")] == [metric_caption(name) for name in columns]
    assert heads.count("requests") == parts
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if "│" in line]
    assert sorted(cell for row in rows for cell in row[2:] if cell) == sorted(f"{value:.3f}  0.000" for value in told.values())
    assert sum(row[1] == "1,234" for row in rows) == parts


def test_metrics_over_all_requests_and_features_fit_into_a_narrow_console() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80)
    console.print(overall_table(_metrics()))
    console.print(importance_table(_importance()))
    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert out.getvalue().count("0.500 ± 0.020") >= 2 * len(AMOUNT_METRICS)
    assert "-0.250 ± 0.010" in out.getvalue()


def test_rows_are_json_with_null_where_undefined() -> None:
    rows = json.loads(json.dumps(metrics_rows(_metrics()), allow_nan=False))
    of_400 = half_width(1.0, 400.0)
    margins = {"challenger_margin": 0.01 * of_400, "champion_margin": 0.01 * of_400, "change_margin": 0.005 * of_400}
    assert rows[0]["metrics"]["auc"] == pytest.approx({"challenger": 0.75, "champion": 0.75, "change": 0.0} | margins)
    assert rows[0]["metrics"]["requests"]["change_margin"] is None
    assert set(rows[0]["metrics"]) == set(METRICS)
    assert rows[2]["slice"] == {"device": EVIL}
    assert rows[2]["metrics"]["auc"]["challenger"] is None


@pytest.mark.parametrize(("change", "text"), [(0.0123, "+0.012"), (-0.0004, "-0.000"), (0.0, "0.000"), (math.nan, "")])
def test_change_keeps_its_sign(change: float, text: str) -> None:
    assert change_text(change) == text


def test_page_is_well_formed_and_asks_for_nothing_from_elsewhere() -> None:
    page = _Page(text := render(_content()))
    assert page.open == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert not {"src", "href", "srcset"} & {name for name, _ in page.attributes}
    assert not re.search(r"url\(|@import|https?:", text)


def test_page_escapes_what_the_shop_wrote() -> None:
    text = render(_content())
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 2


def test_page_shows_the_parts_it_is_given_and_no_others() -> None:
    full, content = render(_content()), _content()
    drawn = ("Lift", "Calibration", "Cold start", "AUC by", "Training", "epoch 2")
    for part in (*drawn, "Refused", "Metrics by", "All requests", "release 7", "from here to there", "12,345", "One request, as ranked"):
        assert part in full
    bare = render(ReportContent(content.dataset, content.made_at, content.verdict, content.metrics))
    for part in ("Training", "ingestion", "One request"):
        assert part not in bare


def test_page_of_an_empty_evaluation_says_so() -> None:
    nothing = check_gates((), Gates(), slices=[])
    assert "There was no request to evaluate on." in render(ReportContent("a_shop", datetime(2026, 1, 1), nothing, ()))


def _positions(drawn: object, css: str, axis: str) -> list[float]:
    return [float(found) for found in re.findall(rf'class="{css}"[^>]* {axis}="([\d.]+)"', str(drawn))]


def test_dots_stand_where_their_values_are_with_their_intervals() -> None:
    given = [Interval("a", 0.6, 0.05, 0.5), Interval("b", 0.9, math.nan, math.nan), Interval("c", math.nan, math.nan, 0.7)]
    drawn = interval_chart(given, title="t")
    first, second = _positions(drawn, "dot", "cx")
    (low,), (high,) = _positions(drawn, "whisker", "x1"), _positions(drawn, "whisker", "x2")
    ticks = _positions(drawn, "tick", "x1")
    a_tenth = (second - first) / 3
    assert (low + high) / 2 == pytest.approx(first, abs=0.1)
    assert high - low == pytest.approx(a_tenth, abs=0.2)
    assert ticks == pytest.approx([first - a_tenth, first + a_tenth], abs=0.2)


def test_curves_go_up_with_their_values_and_nothing_draws_nothing() -> None:
    points = [(i, y, math.nan) for i, y in enumerate((0.1, 0.2, math.nan, 0.3))]
    drawn = curve_chart([Series("challenger", points)], title="t", diagonal=True)
    heights = _positions(drawn, "dot challenger", "cy")
    assert heights == sorted(heights, reverse=True)
    assert len(heights) == 3
    assert 'class="diagonal"' in drawn
    assert "<b" not in curve_chart([Series("challenger", [(0, 1, 0.1)])], title="t", x_names=["<b>"])
    assert curve_chart([], title="t") == interval_chart([], title="t") == histogram([("positive", [])], top=1, title="t") == ""


def test_an_axis_begins_at_zero_where_that_is_asked_for() -> None:
    series = [Series("challenger", [(0, 570.0, math.nan), (1, 630.0, math.nan)])]
    assert ">0</text>" in curve_chart(series, title="t", from_zero=True, x_names=["a", "b"])
    assert ">0</text>" not in curve_chart(series, title="t", x_names=["a", "b"])


def test_a_pair_of_bars_stands_for_both_shares_of_a_value() -> None:
    svg = pair_chart([("<app>", 0.25, 0.5), ("web", 0.75, 0.5)], title="t")
    first, second = (_positions(svg, f"bar {css}", "width") for css in ("champion", "challenger"))
    assert first[1] == pytest.approx(3 * first[0], abs=0.3)
    assert second == pytest.approx([2 * first[0]] * 2, abs=0.3)
    assert "<app>" not in svg
    assert pair_chart([], title="t") == ""


def test_a_histogram_draws_shares() -> None:
    drawn = histogram([("positive", [1, 3]), ("negative", [100, 300])], top=0.5, title="t")
    positive, negative = re.findall(r'points="([^"]+)"', drawn)
    assert positive == negative


def test_curves_are_those_of_the_sums() -> None:
    labels, scores = np.array([1, 0, 0, 1], np.float32), np.array([0.9, 0.1, 0.4, 0.2], np.float32)
    found = curves(sums(labels, scores, gains=labels, row_lengths=np.array([2, 2])))
    assert found["places"] == [[2, pytest.approx(1 / 2 / (1 / 2))], [2, pytest.approx(1)]]
    assert [share for _, _, share in found["calibration"]] == [0, 1, 0, 1]
    assert sum(found["scores"]["with"]) == sum(found["scores"]["without"]) == 2
    assert found["scores"]["with"][-1] == 1
    json.dumps(found, allow_nan=False)
    nothing = curves(sums(labels, scores * 3, gains=labels, row_lengths=np.array([2, 2])))
    assert nothing["calibration"] == nothing["scores"]["with"] == []


def test_a_change_is_sure_where_its_interval_is_clear_of_zero() -> None:
    def compare(metric: str, change: float, error: float, shoppers: float = 500.0) -> str:
        counts = {"shoppers": 500.0, "shoppers_without_positive": 0.0, "effective_shoppers": shoppers}
        return surely(Comparison((), counts | {metric: 0.5 + change, f"{metric}_change_se": error}, {metric: 0.5}), metric)

    assert compare("auc", 0.02, 0.01) == "better"
    assert compare("auc", -0.02, 0.01) == "worse"
    assert compare("auc", 0.02, 0.0103) == compare("auc", 0.02, math.nan) == ""
    assert compare("auc", 0.02, 0.01, shoppers=10.0) == ""  # of few it takes 2.26 standard errors
    assert compare("log_loss", 0.02, 0.01) == "worse"
    assert compare("calibration", 0.02, 0.01) == ""


def test_a_bar_reaches_from_nothing_to_its_value_and_its_interval_around_it() -> None:
    svg = bar_chart([Interval("a", 0.4, 0.1, math.nan), Interval("b", -0.2, math.nan, math.nan)], title="t")
    zero = float(re.search(r'class="zero" x1="([\d.]+)"', svg)[1])  # type: ignore[index]
    (x, width), (left, other) = ((float(a), float(b)) for a, b in re.findall(r'class="bar" x="([\d.]+)" y="\d+" width="([\d.]+)"', svg))
    assert x == zero
    assert left + other == pytest.approx(zero, abs=0.1)
    assert width == pytest.approx(2 * other, abs=0.2)
    (low, high), *more = re.findall(r'class="error" x1="([\d.]+)" x2="([\d.]+)"', svg)
    assert not more
    assert (float(low) + float(high)) / 2 == pytest.approx(zero + width, abs=0.1)
    assert float(high) - float(low) == pytest.approx(width / 2, abs=0.2)


def test_bars_of_nothing_are_no_plot() -> None:
    assert bar_chart([], title="t") == bar_chart([Interval("a", math.nan, math.nan, math.nan)], title="t") == ""


def test_features_stand_in_the_order_of_their_drop_on_the_page_and_on_the_terminal() -> None:
    page = render(_content())
    (plot,) = re.findall(r"<title>What AUC falls by without a feature</title>.*?</svg>", page)
    assert re.findall(r'text-anchor="end">([^<]*)<', plot) == ["&lt;script&gt;&#34;&amp;", "weak", "worse"]
    assert "On 1,000 requests of the test window with 11,027 candidates" in page
    out = io.StringIO()
    Console(file=out, width=120).print(importance_table(_importance()))
    rows = [line for line in out.getvalue().splitlines() if "│" in line]
    assert len(rows) == 3
    assert "-0.250 ± 0.010" in rows[0]
    assert "+0.020" in rows[2]
    assert "±" not in rows[2]


def test_a_page_without_importance_says_nothing_of_it() -> None:
    assert "What the model goes by" not in render(replace(_content(), importance=None))


def test_amounts_stand_beside_the_other_metrics_where_there_are_any() -> None:
    def without(entry: SliceMetrics, amounts: tuple[str, ...]) -> SliceMetrics:
        return replace(entry, values={name: value for name, value in entry.values.items() if not name.startswith(amounts)})

    earned = tuple(without(entry, ("quantity_", "margin_")) for entry in _metrics())
    nothing = tuple(without(entry, ("revenue_", "quantity_", "margin_")) for entry in _metrics())
    for metrics, columns in ((earned, ("revenue_at_5",)), (nothing, ())):
        assert slice_columns(compared(metrics))[len(COLUMNS) :] == columns
        page = render(replace(_content(), metrics=metrics))
        assert ("<th>Revenue@5</th>" in page, "Margin@5" in page) == (bool(columns), False)
        console = Console(file=io.StringIO(), width=80)
        console.print(overall_table(metrics))
        console.print(metrics_table(metrics))
        assert console.file.getvalue().count("Revenue@5") == 2 * len(columns)  # type: ignore[attr-defined]
