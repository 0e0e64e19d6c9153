"""Hold the result of one check of the data, and format results as a table or as JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

Verdict = Literal["PASS", "WARN", "FAIL"]
EXAMPLES = 3
FAIL_SHARE = 0.05  # of the rows: more than that is no dirt, but a misunderstanding between file and data

_STYLES = {"PASS": "green", "WARN": "yellow", "FAIL": "bold red"}


@dataclass(frozen=True)
class Check:
    """The name of a check, its verdict and result, and up to three examples that name file and row."""

    name: str
    verdict: Verdict
    result: str
    examples: tuple[str, ...] = ()


def of_rows(
    name: str, wrong: int, total: int, *, examples: Sequence[str] = (), fail_share: float = FAIL_SHARE, noun: str = "rows"
) -> Check:
    """Return a check that counts: a warning from the first wrong row on, a failure where more than `fail_share` are
    wrong."""
    if not wrong:
        return Check(name, "PASS", f"none of {total:,} {noun}")
    verdict: Verdict = "FAIL" if wrong > fail_share * total else "WARN"
    return Check(name, verdict, f"{wrong:,} of {total:,} {noun} ({share(wrong, total)})", tuple(examples[:EXAMPLES]))


def share(part: int, whole: int) -> str:
    """Format a share as a percentage with two significant digits."""
    return f"{100 * part / max(whole, 1):.2g} %" if part < whole else "100 %"


def failed(checks: Iterable[Check]) -> bool:
    """Return whether any check failed: ingestion would stop, or a model learn from something else than what is
    meant."""
    return any(check.verdict == "FAIL" for check in checks)


def render(checks: Iterable[Check]) -> Table:
    """Format checks as a table for a terminal."""
    table = Table("", "check", "found", box=None, pad_edge=False)
    for check in checks:
        text = Text(check.result)
        for example in check.examples:
            text.append(f"\n{example}", style="dim")
        table.add_row(Text(check.verdict, style=_STYLES[check.verdict]), Text(check.name), text)
    return table


def as_json(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """Return checks for JSON: a list of name, verdict, found (the result) and examples."""
    return [{"name": check.name, "verdict": check.verdict, "found": check.result, "examples": list(check.examples)} for check in checks]
