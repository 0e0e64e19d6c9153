"""Define the metrics of an experiment: each is a mean over shoppers, or a ratio of two such means.

A metric's columns are totals of a shopper since their first exposure (`components.experiment.shoppers`). A ratio such as
clicks per impression is the sum over the arm's shoppers of one total over that of another; its variance is by the delta
method over shoppers (Deng, Knoblich and Lu 2018), as shoppers, not impressions, were assigned.
"""

from dataclasses import dataclass

from components.contract.dataset import Dataset
from components.experiment.report_schema import Role


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric.

    Attributes:
        name: in files and reports.
        unit: of its value; `{currency}` stands for the currency.
        total: column of the shopper's total.
        per: column of what it is divided by; None: shoppers.
        role: unless the experiment's file says otherwise.
        higher_is_better: direction.
        needs: "click" or "purchase", the action it counts; or "revenue" or "margin", the amount; "" for decisions alone.
        has_history: whether the same is known of a shopper before the experiment, for CUPED.
    """

    name: str
    unit: str
    total: str
    per: str | None = None
    role: Role = "secondary"
    higher_is_better: bool = True
    needs: str = ""
    has_history: bool = True


METRICS = (
    Metric(name="click_rate", unit="clicks per impression", total="clicks", per="impressions", needs="click"),
    Metric(name="conversion", unit="share of shoppers", total="buyers", needs="purchase"),
    Metric(name="orders_per_shopper", unit="orders per shopper", total="orders", needs="purchase"),
    Metric(name="revenue_per_shopper", unit="{currency} per shopper", total="revenue", role="primary", needs="revenue"),
    Metric(name="margin_per_shopper", unit="{currency} per shopper", total="margin", needs="margin"),
    Metric(name="sessions_per_shopper", unit="sessions per shopper", total="sessions"),
    Metric(name="orders_per_session", unit="orders per session", total="orders", per="sessions", needs="purchase"),
    Metric(name="revenue_per_session", unit="{currency} per session", total="revenue", per="sessions", needs="revenue"),
    Metric(name="margin_per_session", unit="{currency} per session", total="margin", per="sessions", needs="margin"),
    Metric(name="basket_size", unit="pieces per order", total="pieces", per="orders", needs="purchase"),
    Metric(name="return_within_7_days", unit="share of shoppers", total="came_back", per="followed", has_history=False),
    Metric(
        name="latency_ms",
        unit="ms per model call",
        total="latency_ms",
        per="model_calls",
        role="guardrail",
        higher_is_better=False,
        has_history=False,
    ),
    Metric(
        name="degraded_share",
        unit="share of lists",
        total="degraded",
        per="lists",
        role="guardrail",
        higher_is_better=False,
        has_history=False,
    ),
)
BY_NAME = {metric.name: metric for metric in METRICS}
AMOUNTS = ("revenue", "margin")
TOTALS = tuple(dict.fromkeys(column for metric in METRICS for column in (metric.total, metric.per) if column is not None))
HISTORY = tuple(dict.fromkeys(column for metric in METRICS if metric.has_history for column in (metric.total, metric.per) if column))
"""Totals that are also known from before the experiment, as columns `pre_NAME`."""


@dataclass(frozen=True, kw_only=True)
class OutcomeActions:
    """Which actions of the dataset file are a click and a purchase; None where there is none."""

    click: str | None
    purchase: str | None


def outcome_actions(dataset: Dataset, *, click: str | None = None, purchase: str | None = None) -> OutcomeActions:
    """Return what an experiment's file names, or else the action of that name, or else for a purchase the one with amounts."""
    paid = [name for name in dataset.amount_actions if dataset.amounts]
    return OutcomeActions(
        click=click or ("click" if "click" in dataset.actions else None),
        purchase=purchase or ("purchase" if "purchase" in dataset.actions else paid[0] if len(paid) == 1 else None),
    )


def missing_needs(metric: Metric, dataset: Dataset, actions: OutcomeActions) -> str | None:
    """Return why a dataset can't have a metric, or None where it can."""
    match metric.needs:
        case "click" if actions.click is None:
            return "the dataset file has no action `click`; name one by `click` in the experiment's file"
        case "purchase" | "revenue" | "margin" if actions.purchase is None:
            return "the dataset file has no action `purchase`; name one by `purchase` in the experiment's file"
        case "revenue" | "margin" if metric.needs not in dataset.amounts:
            return f"the dataset file names no column `{metric.needs}`"
    return None
