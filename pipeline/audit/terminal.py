"""Print an audit on the terminal."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.audit.as_json import shelf_rows
from pipeline.audit.audit import Audit
from pipeline.audit.facts import Facts, lineage_facts, reason_lines, request_facts, verdict

MOST_ROWS, MOST_EXPLAINED = 30, 10


def print_audit(audit: Audit, console: Console) -> None:
    """Print who asked, the list, what computes its scores, and where all of it comes from."""
    passed, sentence = verdict(audit)
    word = {True: "[green]OK[/green]", False: "[red]FAIL[/red]", None: "[yellow]not confirmed[/yellow]"}[passed]
    console.print(f"[bold]Request {escape(audit.decision.request)}[/bold]")
    console.print(_facts(request_facts(audit)))
    console.print(_list(audit))
    if audit.why is not None:
        console.print(_why(audit))
    console.print(f"{word}  {escape(sentence)}")
    console.print(_facts(lineage_facts(audit)))


def _facts(facts: Facts) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, text in facts:
        table.add_row(name, escape(text))
    return table


def _list(audit: Audit) -> Table:
    table = Table(header_style="bold")
    for name in ("place", "item", "score", "recomputed", "seen", "rules", "what came of it"):
        table.add_column(name, justify="right" if name in ("place", "score", "recomputed") else "left", overflow="fold")
    rows = shelf_rows(audit)
    for row in rows[:MOST_ROWS]:
        table.add_row(
            str(row["position"] + 1),
            escape(row["item"]),
            score_text(row["score"]),
            score_text(row["recomputed"]),
            "yes" if row["counted_as_seen"] else "",
            escape("; ".join(row["rules"])),
            escape(", ".join(row["actions"])),
        )
    left_out = [f"{len(rows) - MOST_ROWS:,} more places are in --json"] if len(rows) > MOST_ROWS else []
    filtered = len(audit.decision.items) - len(rows)
    left_out += [f"{filtered:,} candidates weren't shown, by rules: see --json"] if filtered else []
    table.caption = "; ".join(left_out) or None
    return table


def _why(audit: Audit) -> Table:
    table = Table(header_style="bold", title="Why", title_justify="left", show_lines=True)
    for name in ("place", "item", "what sets it apart: raises (+) or lowers (-) its score"):
        table.add_column(name, justify="right" if name == "place" else "left", overflow="fold")
    for row in shelf_rows(audit)[:MOST_EXPLAINED]:
        table.add_row(str(row["position"] + 1), escape(row["item"]), escape("\n".join(reason_lines(row))))
    return table


def score_text(score: Any) -> str:
    """Format a score so that a difference above the tolerance shows; "" where there is none."""
    return "" if score is None or score != score else f"{score:.7f}"
