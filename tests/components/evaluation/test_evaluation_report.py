"""Table, JSON and page show every slice, and what is undefined as such."""

import io
import json
import math
import re
from datetime import datetime
from html.parser import HTMLParser

import pytest
from rich.console import Console

from components.contract.dataset import Gates
from components.evaluation.charts import Bar, bar_chart, line_chart
from components.evaluation.estimates import change_error_of, error_of
from components.evaluation.report import Epoch, RankedCandidate, RankedRequest, ReportContent, render
from components.evaluation.results import SliceMetrics, compared, from_json, to_json
from components.evaluation.sums import ESTIMATED, METRICS
from components.evaluation.table import change_text, metrics_rows, metrics_table
from components.evaluation.verdict import verdict

EVIL = '<script>"&'


def _metrics() -> tuple[SliceMetrics, ...]:
    errors = {error_of(name): 0.01 for name in ESTIMATED}
    values = (
        dict.fromkeys(METRICS, 0.5) | errors | {"requests": 1234.0, "requests_without_positive": 34.0, "auc": 0.75, "invalid_scores": 0.0}
    )
    undefined = values | {"auc": math.nan, "requests": 3.0}
    slices = (((("device", EVIL),), undefined), ((), values), ((("device", "ios"),), values | {"requests": 900.0}))
    changes = {change_error_of(name): 0.005 for name in ESTIMATED}
    models = (("challenger", changes), ("champion", {}))
    return tuple(SliceMetrics(where, model, mine | more) for where, mine in slices for model, more in models)


def _content() -> ReportContent:
    metrics = _metrics()
    return ReportContent(
        dataset="a_shop",
        made_at=datetime(2026, 1, 2, 3, 4),
        verdict=verdict(metrics, Gates(floor={"auc": 0.8}), slices=[["device"]]),
        metrics=metrics,
        windows={"test": "from here to there"},
        ingestion={"read": 12_345, "dropped: duplicate": 6},
        training=(Epoch(0.5, 0.7), Epoch(0.4, 0.8), Epoch(0.3, 0.75)),
        example=RankedRequest("device=ios", (RankedCandidate("i1", EVIL, 0.9, 1.0), RankedCandidate("i2", "Shoe", 0.8, 0.0))),
    )


class _Page(HTMLParser):
    VOID = frozenset({"meta", "line", "rect", "circle", "polyline"})

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
    assert [each.slice for each in compared(_metrics())] == [(), (("device", "ios"),), (("device", EVIL),)]


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


def test_rows_are_json_with_null_where_undefined() -> None:
    rows = json.loads(json.dumps(metrics_rows(_metrics()), allow_nan=False))
    margins = {"challenger_margin": 0.0196, "champion_margin": 0.0196, "change_margin": 0.0098}
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
    for part in ("Refused", "Metrics by", "AUC by", "Training", "epoch 2", "from here to there", "12,345", "One request, as ranked"):
        assert part in full
    bare = render(ReportContent(content.dataset, content.made_at, content.verdict, content.metrics))
    for part in ("Training", "ingestion", "One request"):
        assert part not in bare


def test_page_of_an_empty_evaluation_says_so() -> None:
    nothing = verdict((), Gates(), slices=[])
    assert "There was no request to evaluate on." in render(ReportContent("a_shop", datetime(2026, 1, 1), nothing, ()))


def test_bars_are_as_long_as_their_values() -> None:
    drawn = str(bar_chart([Bar("a", 0.6, 0.5), Bar("b", 0.9, math.nan), Bar("c", math.nan, math.nan)], title="t"))
    first, second = (float(width) for width in re.findall(r'class="bar"[^>]* width="([\d.]+)"', drawn))
    assert second / first == pytest.approx((0.9 - 0.4) / (0.6 - 0.4), rel=0.01)  # from the tenth below
    assert drawn.count('class="tick"') == 1


def test_lines_go_up_with_their_values_and_nothing_draws_nothing() -> None:
    drawn = str(line_chart([0.1, 0.2, math.nan, 0.3], title="t", best=3))
    heights = [float(y) for y in re.findall(r'class="point" cx="[\d.]+" cy="([\d.]+)"', drawn)]
    assert heights == sorted(heights, reverse=True)
    assert len(heights) == 3
    assert line_chart([], title="t") == bar_chart([], title="t") == ""
    assert 'class="point"' in line_chart([0.5], title="t")
