"""Show the ledger of retraining: as a table, as JSON, and as a page that can be mailed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from components.release.run_outcome import RunOutcome
from pipeline.retrain.cycle import Cycle, Outcome
from pipeline.retrain.ledger import History

Runs = Sequence[tuple[str, datetime, RunOutcome]]
"""Kubeflow's runs: id, when its outcome was recorded, the outcome."""

STYLES = {
    Outcome.PROMOTED: "green",
    Outcome.ROLLED_BACK: "yellow",
    Outcome.REFUSED: "yellow",
    Outcome.FAILED: "red",
    Outcome.FROZEN: "bold red",
}


def history_rows(history: History) -> list[dict[str, Any]]:
    """Return all that is known of each cycle, the newest first, as JSON takes it."""
    return [_plain(asdict(cycle) | {"run_id": cycle.run_id, "start": cycle.start}) for cycle in reversed(history.cycles)]


def history_table(history: History) -> Table:
    """Tabulate the cycles for the terminal, the newest first."""
    table = Table(title="Retraining", title_justify="left", header_style="bold")
    for name in ("cycle", "began", "asked by", "action", "parent", "release", "auc", "outcome", "min", "CPU min", "reason"):
        table.add_column(name, justify="right" if name in ("cycle", "parent", "release", "auc", "min", "CPU min") else "left")
    for cycle in reversed(history.cycles):
        auc, processor = cycle.metrics.get("auc"), cycle.processor_seconds
        table.add_row(
            str(cycle.number),
            cycle.began.astimezone(UTC).strftime("%Y-%m-%d %H:%M"),
            ", ".join(cycle.triggers),
            str(cycle.decision.action),
            _number(cycle.parent),
            _number(cycle.release),
            "" if auc is None else f"{auc:.4f}",
            outcome_of(cycle),
            f"{cycle.seconds / 60:.1f}" if cycle.seconds else "",
            "" if processor is None else f"{processor / 60:.1f}",
            reason_of(cycle),
            style=STYLES.get(cycle.outcome) if cycle.outcome else "cyan",
        )
    return table


def run_rows(runs: Runs) -> list[dict[str, Any]]:
    """Return what a store knows of Kubeflow's runs, as JSON takes it."""
    return [
        {
            "run": run_id,
            "recorded": recorded.isoformat(),
            "outcome": "released" if outcome.released else "refused",
            "release": outcome.version,
            "reasons": list(outcome.refusals),
        }
        for run_id, recorded, outcome in runs
    ]


def runs_table(runs: Runs) -> Table:
    """Tabulate them for the terminal."""
    table = Table(title="Runs on Kubeflow", title_justify="left", header_style="bold")
    for name in ("run", "recorded", "outcome", "release", "reasons"):
        table.add_column(name, justify="right" if name == "release" else "left")
    for row in run_rows(runs):
        table.add_row(row["run"], row["recorded"][:16].replace("T", " "), row["outcome"], _number(row["release"]), " ".join(row["reasons"]))
    return table


def outcome_of(cycle: Cycle) -> str:
    """Return how a cycle ended, or where it is."""
    if cycle.outcome is not None:
        return f"{cycle.outcome}, lifted" if cycle.lifted else str(cycle.outcome)
    if cycle.trained is None:
        return "training"
    return "on trial" if cycle.on_trial else "trained"


def reason_of(cycle: Cycle) -> str:
    """Return the sentence that tells most of a cycle: of its outcome, else of its decision."""
    return cycle.reason or " ".join(reason.text for reason in cycle.decision.reasons[:1])


def _number(version: int | None) -> str:
    return "" if version is None else str(version)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value
