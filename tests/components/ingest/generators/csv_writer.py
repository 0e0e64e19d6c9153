"""Write tables as CSV in any dialect, by a writer that knows which value stands where: the truth that a reader is compared with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Written:
    """How a table is written; `always`: every value in quotes, else only where it must be."""

    separator: str = ","
    quote: str = '"'
    escape: str = ""
    line_end: str = "\n"
    always: bool = False
    header: bool = True

    def can_hold(self, value: str) -> bool:
        """Whether the dialect has a way to write a value."""
        special = any(mark in value for mark in (self.separator[0], "\n", "\r"))
        return bool(self.quote) or bool(self.escape) or not special


def write_csv(names: list[str], rows: list[list[str]], written: Written) -> str:
    """The table as text; a line end at the end."""
    lines = [names, *rows] if written.header else rows
    return "".join(written.separator.join(csv_value(value, written) for value in line) + written.line_end for line in lines)


def csv_value(value: str, written: Written) -> str:
    """A value as the dialect writes it."""
    if not written.quote:
        return _escaped(value, written) if written.escape else value
    # Of a separator of several characters one is enough: ":" before "::" could be cut in two ways.
    special = [written.separator[0], written.quote, "\n", "\r", *([written.escape] if written.escape else [])]
    # A space before a quote would be no part of the value.
    if not written.always and not any(mark in value for mark in special) and not value.startswith(" "):
        return value
    inner = _escaped(value, written) if written.escape else value.replace(written.quote, written.quote * 2)
    return f"{written.quote}{inner}{written.quote}"


def _escaped(value: str, written: Written) -> str:
    out = ""
    for char in value:
        outside = not written.quote and char in ("\n", "\r", written.separator[0])
        out += f"{written.escape}{char}" if char in (written.escape, written.quote or "\0") or outside else char
    return out
