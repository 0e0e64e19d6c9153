"""The whole return: its document, page, PDF and terminal summary say the same, and everything that is assumed."""

import io
import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.roi.programmes import report
from components.experiment.roi.assumptions import NUMBERS
from components.experiment.roi.avoided_losses import Rollback
from components.experiment.roi.costs import Usage
from components.experiment.roi.programme import REVENUE
from components.experiment.roi.report.html_page import render
from components.experiment.roi.report.pdf import write_pdf
from components.experiment.roi.report.sentences import chance, headline, money, summary
from components.experiment.roi.report.table import print_roi
from components.experiment.roi.roi_report import RoiReport, roi_report
from tests.components.experiment.roi.programme import REPORTS, price_file, shop

TODAY = date(2026, 12, 1)
HOLDOUT = report("rest", {REVENUE: (0.05, 0.02)}, first_day=date(2026, 1, 10), days=80, shoppers=28_000, shipped=False, control_share=0.05)
ROLLBACKS = (
    Rollback(day=date(2026, 2, 1), release=7, reason="fewer <clicks>", clicked=(800, 10_000), stable_clicked=(10_000, 100_000)),
    Rollback(day=date(2025, 2, 1), release=2, reason="before the period", clicked=(1, 2), stable_clicked=(1, 2)),
)
USAGE = Usage(trainings=2, core_seconds=7200, seconds=3600, stored_bytes=3_000_000_000, source="runs/retrain/ledger.jsonl")


@pytest.fixture(scope="module")
def roi() -> RoiReport:
    file = price_file("holdout: rest\nexperiments: {one: {traffic: 50%}}\n")
    return roi_report((*REPORTS, HOLDOUT), file, usage=USAGE, rollbacks=ROLLBACKS, today=TODAY)


def test_net_is_margin_less_all_costs_and_arms_add_up(roi: RoiReport) -> None:
    assert roi.net.shrunk == pytest.approx(roi.margin.shrunk - sum(item.amount for item in roi.costs))
    assert roi.margin.shrunk == pytest.approx(sum(row.margin.shrunk for row in roi.arms if row.margin))
    assert roi.cumulative.gain[-1] == pytest.approx(roi.margin.shrunk)
    assert roi.cumulative.cost[-1] == pytest.approx(roi.cost)
    assert 0 < roi.margin.lower < roi.margin.shrunk < roi.margin.measured
    assert roi.revenue.shrunk == pytest.approx(3 * roi.margin.shrunk)  # of equal effects and draws
    assert [row.rollback.release for row in roi.avoided.rows] == [7]


def test_what_was_not_shipped_brings_nothing_but_is_shown(roi: RoiReport) -> None:
    assert [row.margin is None for row in roi.arms] == [False, False, True]
    assert roi.arms[2].effect.measured == pytest.approx(-0.01)


def test_an_experiment_that_failed_makes_the_rest_less_credible() -> None:
    def margin(*further: float) -> float:
        days = (date(2026, 1, 20), date(2026, 2, 10), date(2026, 3, 1))
        nothing = [
            shop(f"no{i}", day.isoformat(), effect=effect, shipped=False)
            for i, (day, effect) in enumerate(zip(days, further, strict=False))
        ]
        return roi_report((shop("one", effect=0.03), *nothing), price_file(), usage=USAGE, rollbacks=(), today=TODAY).margin.shrunk

    assert margin(0.001, -0.002, 0.0) < margin() < 86 * 4 * 2000 * 0.03


def test_every_number_of_the_price_file_is_varied_and_named(roi: RoiReport) -> None:
    varied = {swing.name for swing in roi.sensitivity}
    zero = {"GPUs of each training", "Margin over revenue"}  # none is used, and margin is measured
    assert {name for _, name, _ in NUMBERS} - varied == zero
    assert {name for _, name, _ in NUMBERS} <= {each.name for each in roi.assumptions}
    swings = {swing.name: swing for swing in roi.sensitivity}
    people = swings["Price of a person's hour"]
    assert people.at_low - people.at_high == pytest.approx(0.5 * sum(item.amount for item in roi.costs if item.group == "people"))
    taken = swings["Share of the traffic that one took"]
    first = roi.arms[0].margin
    assert first is not None
    assert taken.at_low - roi.net.shrunk == pytest.approx(first.shrunk / 3)  # three quarters of the share: a shop a third larger
    winners = swings["Correction for picking winners"]
    assert winners.at_high == pytest.approx(roi.margin.measured - roi.cost)


def test_the_document_is_json(roi: RoiReport) -> None:
    document = json.loads(json.dumps(roi.shown(), allow_nan=False))
    assert document["net"]["shrunk"] == pytest.approx(document["margin"]["shrunk"] - document["cost"])
    assert document["payback"]["day"] == (roi.payback.day and roi.payback.day.isoformat())
    assert sum(item["amount"] for item in document["costs"]) == pytest.approx(document["cost"])


def test_the_page_is_one_file_with_every_assumption_and_its_source(roi: RoiReport) -> None:
    page = render(roi, "my <shop>")
    assert not re.search(r"(?:src|href)=|<script|@import|url\(", page)
    assert "my &lt;shop&gt;" in page
    assert "fewer &lt;clicks&gt;" in page
    for each in roi.assumptions:
        for text in (each.name, each.value, each.source):
            assert text.replace("<", "&lt;").replace(">", "&gt;").replace("'", "&#39;") in page
    assert page.count("<svg") == 3
    assert money(roi.net.shrunk, "EUR") in page
    assert page == render(roi, "my <shop>")


def test_the_page_needs_no_statistics(roi: RoiReport) -> None:
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", render(roi, "shop"), flags=re.DOTALL)
    for term in ("AUC", "posterior", "p-value", "standard error", "confidence", "Bayes", "significan", "prior"):
        assert term.lower() not in text.lower().replace("diversity_prior", "")


def test_the_pdf_is_the_same_bytes_for_the_same_report(roi: RoiReport, tmp_path: Path) -> None:
    for name in ("a.pdf", "b.pdf"):
        write_pdf(roi, "my $shop$", tmp_path / name)
    content = (tmp_path / "a.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert content == (tmp_path / "b.pdf").read_bytes()
    assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") >= 4


def test_the_terminal_has_the_sentences(roi: RoiReport) -> None:
    out = io.StringIO()
    print_roi(roi, Console(file=out, width=2000))
    for line in (headline(roi), *summary(roi)):
        assert line in out.getvalue()


def test_headlines_say_what_is_known(roi: RoiReport) -> None:
    assert headline(roi).startswith("It paid: about EUR ")
    lost = replace(roi, net=replace(roi.net, shrunk=-5000.0, lower=-9000.0, upper=-1000.0))
    assert headline(lost) == "It hasn't paid so far: EUR 5,000 more were spent than earned."
    unsure = replace(roi, net=replace(roi.net, shrunk=5000.0, lower=-9000.0))
    assert "the range holds both" in headline(unsure)


def test_a_programme_that_shipped_nothing_cost_what_it_cost() -> None:
    nothing = roi_report((shop("one", shipped=False),), price_file(), usage=USAGE, rollbacks=(), today=TODAY)
    assert (nothing.margin.shrunk, nothing.margin.lower, nothing.margin.upper) == (0, 0, 0)
    assert nothing.payback.day is None
    assert headline(nothing).startswith("Nothing was shipped")
    assert "not in sight" in render(nothing, "shop")


def test_amounts_have_three_digits_that_count() -> None:
    assert [money(value, "EUR") for value in (1234567.0, 0.126, -45.678, 0.0123, -1e-7)] == [
        "EUR 1,230,000",
        "EUR 0.13",
        "-EUR 45.70",
        "EUR 0.0123",
        "EUR 0",
    ]
    assert [chance(value) for value in (0.9999, 0.5, 0.0)] == ["over 99 %", "50 %", "under 1 %"]
