"""Live figures as Prometheus reads them."""

from prometheus_client import CollectorRegistry, generate_latest

from serving.stream.figures.live_figures import FigureSettings, LiveFigures
from serving.stream.figures.prometheus import FiguresCollector
from tests.serving.stream.figures.attribution_oracle import MINUTE_US, dataset, frames

NO_AMOUNT = {"revenue": float("nan"), "session": "", "f:device": "tv", "item": "p1", "user": "a"}


def test_open_requests_are_gauges_and_final_ones_counters() -> None:
    figures = LiveFigures(dataset(), FigureSettings(every_s=0, late_s=0))
    registry = CollectorRegistry()
    registry.register(FiguresCollector(figures))
    shown = NO_AMOUNT | {"action": "impression", "version": "7", "arms": '{"shelf": "new"}'}
    rows = [
        shown | {"time": 0, "request": "r1"},
        shown | {"time": MINUTE_US, "request": "r2"},
        NO_AMOUNT | {"time": 2 * MINUTE_US, "request": "r1", "action": "buy", "revenue": 2.5},
        NO_AMOUNT | {"time": 2 * MINUTE_US, "request": "r2", "action": "click"},
        NO_AMOUNT | {"time": 60 * MINUTE_US, "request": "", "action": "click", "user": "b"},
    ]
    figures.add(*frames(rows), now_us=10**15, watermark_us=60 * MINUTE_US)
    text = generate_latest(registry).decode()
    for line in (
        'shelfrank_figures_open_requests{by="version",experiment="",value="7"} 1.0',
        'shelfrank_figures_open_requests_with{action="click",by="arm",experiment="shelf",value="new"} 1.0',
        'shelfrank_figures_open_amount{amount="revenue",by="all",experiment="",value=""} 0.0',
        'shelfrank_figures_requests_total{by="segment",experiment="",value="tv"} 1.0',
        'shelfrank_figures_requests_with_total{action="buy",by="version",experiment="",value="7"} 1.0',
        'shelfrank_figures_requests_with_total{action="click",by="version",experiment="",value="7"} 0.0',
        'shelfrank_figures_amount_total{amount="revenue",by="arm",experiment="shelf",value="new"} 2.5',
        "shelfrank_figures_shoppers_share 1.0",
        'shelfrank_figures_left_out_total{what="late_actions"} 0.0',
    ):
        assert line in text.splitlines(), text
