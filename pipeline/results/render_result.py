"""Print a finished run on the terminal, and render it as an HTML page."""

from datetime import datetime
from itertools import pairwise
from typing import Any

from rich.console import Console
from rich.table import Table

from components.champion.baseline_rule import champion_order
from components.contract.load import parse_dataset
from components.evaluation.report.html_report import RankedRequest, ReportContent, render
from components.evaluation.report.summary import falls
from components.evaluation.report.table import importance_table, metrics_table, overall_table
from components.evaluation.results import compared
from pipeline.results.result import RunResult
from trainer.tuning.trials import Trial, value_text

_BEST = 10


def print_result(result: RunResult, console: Console) -> None:
    """Print metrics, verdict, feature importance, an example, ingestion's counts, seconds by step, and paths."""
    console.print(overall_table(result.metrics))
    console.print()
    console.print(metrics_table(result.metrics))
    console.print()
    for sentence in result.verdict.sentences:
        console.print(sentence, style=None if sentence.startswith("Passed") else "red", highlight=False)
    for fall in falls(compared(result.metrics)):
        if fall.sure:  # no gate need cover it
            console.print(f"Fell: {fall.sentence}", style="yellow", highlight=False)
    if result.drift is not None:
        console.print(f"Drift since {result.champion} was made: {result.drift.action}.", highlight=False)
        for reason in result.drift.reasons:
            console.print(f"  {reason.kind}: {reason.text}", style="yellow", highlight=False, markup=False)
    released = f"Released as version {result.release}" if result.release is not None else "Refused: nothing was released"
    console.print(f"{released} (champion: {result.champion}).", style="bold", highlight=False)
    if result.importance:
        console.print()
        console.print(importance_table(result.importance))
    if result.trials:
        console.print()
        console.print(_trials(result.trials))
    if result.example:
        console.print()
        console.print(_ranked(result.example))
    console.print()
    console.print(_table("Ingestion", ("what", "number"), [(name, f"{number:,}") for name, number in counts(result).items()]))
    console.print()
    console.print(
        _table("Seconds by step", ("step", "state", "s"), [(step.name, step.state, f"{step.seconds:.1f}") for step in result.steps])
    )
    console.print()
    for name, path in result.places.items():
        console.print(f"{name:14} {path}", highlight=False, soft_wrap=True)


def render_page(result: RunResult) -> str:
    """Render the report as HTML."""
    dataset = parse_dataset(result.dataset)
    return render(
        ReportContent(
            dataset=dataset.name,
            made_at=datetime.fromisoformat(result.made_at),
            verdict=result.verdict,
            metrics=result.metrics,
            windows=_windows(result.ingestion["window"]),
            ingestion=counts(result),
            training=result.training,
            example=result.example,
            champion=result.champion,
            champion_order=champion_order(result.champion, dataset),
            release=result.release,
            curves=result.curves,
            importance=result.importance,
            drift=_drift(result),
        )
    )


def _drift(result: RunResult) -> tuple[str, ...]:
    """Word the decision and its reasons."""
    if result.drift is None:
        return ()
    reasons = (f"{reason.kind[0].upper()}{reason.kind[1:]}. {reason.text}" for reason in result.drift.reasons)
    return (f"The test window against what {result.champion} was made from: {result.drift.action}.", *reasons)


def counts(result: RunResult) -> dict[str, int]:
    """Return how many rows ingestion read, kept and dropped, by reason."""
    return dict(result.ingestion["counts"])


def _windows(window: dict[str, Any]) -> dict[str, str]:
    """Return the first and last time of the data, and of each split where the splits are time windows."""
    moments = {name: str(moment)[:16].replace("T", " ") for name, moment in window.items()}
    bounds = [(name, moments[name]) for name in ("train", "eval", "test", "until") if name in moments]
    known = {"first event", "last event"} <= moments.keys()
    data = {"data": f"{moments['first event']} to {moments['last event']}"} if known else {}
    return data | {name: f"{start} to {end}" for (name, start), (_, end) in pairwise(bounds)}


def _trials(trials: tuple[Trial, ...]) -> Table:
    """Tabulate the trials of the search, best first."""
    names = list(trials[0].values)
    rows = [
        (
            str(trial.number),
            "failed" if trial.outcome.score is None else f"{trial.outcome.score:.4f}",
            *(value_text(trial.values[name]) for name in names),
            str(trial.outcome.epochs),
            f"{trial.outcome.seconds:.1f}",
        )
        for trial in trials
    ]
    return _table("Trials, best first", ("trial", "eval AUC", *names, "epochs", "s"), rows)


def _ranked(example: RankedRequest) -> Table:
    """Tabulate the ten best candidates, and below them those with a label."""
    titled = any(candidate.title for candidate in example.candidates)
    table = Table(title=f"Example: request {example.caption}", title_justify="left", header_style="bold")
    for name in ("rank", "item", *(["title"] if titled else []), "score", "label"):
        table.add_column(name, justify="right" if name in ("rank", "score", "label") else "left")
    for rank, candidate in enumerate(example.candidates, 1):
        if rank <= _BEST or candidate.label:
            cells = (str(rank), candidate.item, *([candidate.title] if titled else []), f"{candidate.score:.4f}", f"{candidate.label:g}")
            table.add_row(*cells, style="green" if candidate.label else None)
    return table


def _table(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in head:
        table.add_column(name, justify="right" if name in ("number", "s") else "left")
    for row in rows:
        table.add_row(*row)
    return table
