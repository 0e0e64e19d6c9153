"""What somebody who owns a shop and knows no metric reads in the report, and on which screens."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from components.champion.baseline_rule import champion_order
from components.contract.load import parse_dataset
from components.evaluation.display_names import metric_meaning
from components.evaluation.gates.gate_result import Finding, GateResult
from components.evaluation.metrics.metric_accumulator import COUNTS, METRICS, SHOPPER_METRICS
from components.evaluation.metrics.slices import band_names
from components.evaluation.metrics.standard_errors import change_error_of
from components.evaluation.report.html_report import Epoch, RankedCandidate, RankedRequest, ReportContent, render
from components.evaluation.report.summary import falls, owner_sentences
from components.evaluation.results import SliceMetrics, compared
from tests.serving.service.page.conftest import browser  # noqa: F401 - a fixture

PASSED = GateResult((Finding(True, "AUC is at least 0.500."), Finding(True, "served requests took 2 ms.")))
REFUSED = GateResult((Finding(False, "AUC is below 0.900."), Finding(True, "served requests took 2 ms.")))
ORDER = "the order in which the shop showed the products"
Slice = tuple[tuple[str, str], ...]
LONG = "a_category_without_a_space_in_its_name_that_no_table_has_room_for_beside_others"


def pair(where: Slice, *, requests: int = 400, judged: int = 300, error: float = 0.01, **changes: float) -> tuple[SliceMetrics, ...]:
    """Both models in a slice: all metrics 0.5, the challenger's changed."""
    counts = {"requests": requests, "requests_without_positive": requests - judged, "invalid_scores": 0}
    counts |= {"shoppers": requests, "shoppers_without_positive": requests - judged, "effective_shoppers": judged}  # of one request each
    values = dict.fromkeys(METRICS, 0.5) | {name: float(count) for name, count in counts.items()}
    challenger = {name: value + changes.get(name, 0.0) for name, value in values.items()}
    errors = {change_error_of(name): error for name in METRICS if name not in (*COUNTS, *SHOPPER_METRICS)}
    return (SliceMetrics(where, "challenger", challenger | errors), SliceMetrics(where, "champion", values))


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("</style>")[2]))


def content(*metrics: SliceMetrics, found: GateResult = PASSED, release: int | None = 7) -> ReportContent:
    windows = {"data": "2026-01-01 to 2026-03-01", "test": "2026-02-20 to 2026-03-01"}
    made = datetime(2026, 3, 2, 3, 4)
    return ReportContent("a_shop", made, found, metrics, windows, champion="baseline", champion_order=ORDER, release=release)


def test_release_date_data_and_champion_stand_on_top_before_any_table() -> None:
    top = text_of(render(content(*pair(()))).partition("<table")[0])
    for part in ("a_shop: release 7", "2026-03-02 03:04 UTC", "data 2026-01-01 to 2026-03-01", "judged on 2026-02-20 to 2026-03-01"):
        assert part in top
    assert f"champion baseline: {ORDER}" in top
    assert "a_shop: nothing released" in text_of(render(content(*pair(()), found=REFUSED, release=None)))


def sentences(found: GateResult, release: int | None, **changes: float) -> tuple[str, ...]:
    return owner_sentences(compared(pair((), **changes))[0], found, release=release, champion_order=ORDER)


def test_three_sentences_say_what_shoppers_get_how_sure_that_is_and_why_it_was_released() -> None:
    assert sentences(PASSED, 7, hit_rate_at_5=0.1) == (
        "Of 100 shoppers who took something from a list, 60 would have found some of it among the first 5 places of the new order, "
        f"50 in {ORDER}.",
        "That is 10 more, which is hardly chance (95 % sure, from 300 such lists: between 8 more and 12 more).",
        "Released as version 7, because it passed all 2 checks below.",
    )
    assert sentences(PASSED, 7, hit_rate_at_5=0.1)[0] in text_of(render(content(*pair((), hit_rate_at_5=0.1))))


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (0.01, 0.01, "That is 1 more, which may be chance (95 % sure, from 300 such lists: between 1 fewer and 3 more)."),
        (0.0, 0.01, "That is as many, which may be chance (95 % sure, from 300 such lists: between 2 fewer and 2 more)."),
        (-0.1, 0.01, "That is 10 fewer, which is hardly chance (95 % sure, from 300 such lists: between 12 fewer and 8 fewer)."),
        (0.01, math.nan, "How sure that is can't be said: 300 such lists are too few."),
    ],
)
def test_what_may_be_chance_is_called_so(change: float, error: float, said: str) -> None:
    assert sentences(PASSED, 7, hit_rate_at_5=change, error=error)[1] == said


def test_a_refusal_says_why_and_lists_of_one_are_compared_by_pairs() -> None:
    assert sentences(REFUSED, None)[2] == "Not released, because AUC is below 0.900."
    assert sentences(PASSED, 7, hit_rate_at_5=math.nan, auc=0.25)[0] == (
        "Of 100 pairs of a product that was taken and one that was not, 75 have the one that was taken first in the new order, "
        f"50 in {ORDER}."
    )
    assert owner_sentences(None, REFUSED, release=None, champion_order=ORDER) == ("Not released, because AUC is below 0.900.",)


def test_slices_that_fell_are_named_whether_a_gate_judged_them_or_not() -> None:
    metrics = (*pair(()), *pair((("device", "tv"),), requests=90, judged=40, auc=-0.2), *pair((("device", "pc"),), ndcg_at_10=-0.01))
    tv, pc = falls(compared(metrics))
    assert (tv.metric, tv.where, tv.sure, tv.requests, tv.judged) == ("AUC", "device=tv", True, 90, 40)
    assert (pc.metric, pc.where, pc.sure) == ("NDCG@10", "device=pc", False)
    page = text_of(render(content(*metrics)))  # of which no gate says a word
    assert "AUC in device=tv fell by 0.200 ± 0.020 (90 requests, 40 judged)" in page
    assert "NDCG@10, by no more than chance explains, or too few to tell: device=pc -0.010." in page
    assert "In no slice beyond what chance explains" in text_of(render(content(*pair(()), *pair((("device", "tv"),)))))


def test_the_counts_of_the_gates_are_those_of_the_tables() -> None:
    page = render(content(*pair((), requests=722, judged=496)))
    assert "722 of the test window, 496 of them judged" in text_of(page)
    (row,) = re.findall(r'<tr class="all">.*?</tr>', page, re.DOTALL)
    assert '<td data-label="requests">722</td><td data-label="judged">496</td>' in row


@pytest.mark.parametrize("whole", [True, False])
def test_bands_stand_in_their_order_whatever_their_sizes(whole: bool) -> None:
    bands = [*band_names([1, 3, 10] if whole else [-2.5, 5, 1e6], whole=whole), ""]
    sizes = dict(zip(bands, (10, 40, 20, 50, 30), strict=True))
    metrics = [each for band in sorted(bands) for each in pair((("price", band),), requests=sizes[band])]
    assert [dict(each.slice)["price"] for each in compared(metrics)] == bands


def test_bands_stand_in_their_order_within_a_cross_and_what_is_no_band_by_size() -> None:
    keys: list[Slice] = [(("device", "tv"), ("n", "10+")), (("device", "pc"), ("n", "0")), (("device", "tv"), ("n", "0"))]
    metrics = [each for size, key in enumerate(keys, 1) for each in pair(key, requests=size)]
    assert [each.slice for each in compared(metrics)] == [keys[2], keys[1], keys[0]]
    sizes = [each for size, name in enumerate(("tv", "from afar"), 1) for each in pair((("place", name),), requests=size)]
    assert [dict(each.slice)["place"] for each in compared(sizes)] == ["from afar", "tv"]


def test_every_metric_is_explained_in_a_line() -> None:
    page = text_of(render(content(*pair(()))))
    for metric in METRICS:
        if metric not in (*COUNTS, *SHOPPER_METRICS, "auc_error"):
            assert "{" not in metric_meaning(metric)
            assert metric_meaning(metric) in page


def test_a_champion_is_called_by_what_it_does() -> None:
    text = """
name: shop
events: {path: e.csv, columns: {time: time, user: user, item: item, action: action, request: request%s}}
actions: {impression: {}, click: {label: 1}}
candidates: {from: impressions}
features: [{name: item, kind: id, side: item}%s]
"""
    count = ", {name: clicks, kind: state, side: item, measure: count, action: click}"
    plain, popular, shown = (parse_dataset(text % each) for each in (("", ""), ("", count), (", position: p", "")))
    assert champion_order("baseline", shown) == ORDER
    assert champion_order("baseline", popular) == "an order by popularity"
    assert champion_order("baseline", plain) == "no order at all: one score for all products"
    assert champion_order("release 3", shown) == "the order of release 3"


@contextmanager
def opened(browser: Browser, file: Path, width: int) -> Iterator[Page]:  # noqa: F811
    context = browser.new_context(viewport={"width": width, "height": 850})
    page = context.new_page()
    page.goto(file.as_uri())
    yield page
    context.close()


@pytest.mark.parametrize("width", [320, 390, 1081, 1280])
def test_nothing_is_wider_than_the_screen(browser: Browser, tmp_path: Path, width: int) -> None:  # noqa: F811
    slices = [each for value in ("ios", LONG) for each in pair((("category", value), ("device", LONG)), auc=-0.2)]
    ranked = RankedRequest(LONG, (RankedCandidate(LONG, LONG, 0.9, 1.0), RankedCandidate("i2", "Shoe", 0.8, 0.0)))
    whole = replace(
        content(*pair(()), *slices),
        dataset=LONG,
        ingestion={f"dropped: {LONG}": 12_345_678},
        training=(Epoch(0.5, 0.6),) * 3,
        example=ranked,
    )
    (tmp_path / "report.html").write_text(render(whole))
    with opened(browser, tmp_path / "report.html", width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        wide = "each => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display != 'inline'"
        every = "[...document.body.querySelectorAll('*:not(svg *)')]"
        assert page.evaluate(f"{every}.filter({wide}).map(each => each.outerHTML.slice(0, 200))") == []
