"""One line of the table, and the table."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

Verdict = Literal["PASS", "WARN", "FAIL"]
EXAMPLES = 3
FAIL_SHARE = 0.05  # of the rows: more than that is no dirt, but a misunderstanding between file and data

_STYLES = {"PASS": "green", "WARN": "yellow", "FAIL": "bold red"}


@dataclass(frozen=True)
class Check:
    """What was looked at, what was found, and up to three examples that name file and row."""

    name: str
    verdict: Verdict
    found: str
    examples: tuple[str, ...] = ()


def of_rows(name: str, wrong: int, total: int, *, examples: Sequence[str] = (), fail_share: float = FAIL_SHARE, of: str = "rows") -> Check:
    """A check that counts: a warning from the first wrong row on, a failure where more than `fail_share` are wrong."""
    if not wrong:
        return Check(name, "PASS", f"none of {total:,} {of}")
    verdict: Verdict = "FAIL" if wrong > fail_share * total else "WARN"
    return Check(name, verdict, f"{wrong:,} of {total:,} {of} ({share(wrong, total)})", tuple(examples[:EXAMPLES]))


def share(part: int, whole: int) -> str:
    """A share as a percentage with two digits that count."""
    return f"{100 * part / max(whole, 1):.2g} %" if part < whole else "100 %"


def failed(checks: Iterable[Check]) -> bool:
    """Whether any check failed: ingestion would stop, or learn from something else than what is meant."""
    return any(check.verdict == "FAIL" for check in checks)


def render(checks: Iterable[Check]) -> Table:
    """The table for a terminal."""
    table = Table("", "check", "found", box=None, pad_edge=False)
    for check in checks:
        found = Text(check.found)
        for example in check.examples:
            found.append(f"\n{example}", style="dim")
        table.add_row(Text(check.verdict, style=_STYLES[check.verdict]), Text(check.name), found)
    return table


def as_json(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """The same for a program: a list of name, verdict, found and examples."""
    return [{**asdict(check), "examples": list(check.examples)} for check in checks]
