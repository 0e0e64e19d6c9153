"""Write a drift report as metrics for node_exporter's textfile collector."""

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from components.drift.decision import Action
from components.drift.report.drift_report import DriftReport


def metrics_text(report: DriftReport, *, now_s: float) -> str:
    """Return the text of the file; write it whole or not at all, or the collector reads half of it.

    Args:
        report: the last one.
        now_s: seconds since 1970, so that an alert can tell that checks have ended.
    """
    registry = CollectorRegistry()
    labels = {"dataset": report.dataset}

    def gauge(name: str, about: str, *names: str) -> Gauge:
        return Gauge(f"shelfrank_drift_{name}", about, ("dataset", *names), registry=registry)

    decision = gauge("decision", "1 for the decision of the last check, 0 for the others", "decision")
    for action in Action:
        decision.labels(**labels, decision=action.value).set(report.decision.action is action)
    reasons = gauge("reasons", "Reasons of the last check by kind of fault", "kind")
    for kind in sorted({reason.kind for reason in report.decision.reasons}):
        reasons.labels(**labels, kind=kind).set(sum(reason.kind == kind for reason in report.decision.reasons))
    p, effect = (
        gauge("column_p", "p value of a column's distribution, before all tests are seen together", "column"),
        gauge("column_effect", "How far a column's distribution has moved", "column"),
    )
    missing = gauge("column_missing", "Share of a column's values that are missing in the window", "column")
    for row in report.columns:
        p.labels(**labels, column=row.name).set(row.p)
        effect.labels(**labels, column=row.name).set(row.effect)
        missing.labels(**labels, column=row.name).set(row.missing[1])
    gauge("requests", "Requests of the window").labels(**labels).set(report.window.requests)
    gauge("checked_timestamp_seconds", "When the last check ended").labels(**labels).set(now_s)
    return generate_latest(registry).decode()
