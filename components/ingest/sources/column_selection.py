"""Select the columns to read of a file, and record which of the optional ones it lacks."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from components.contract.base_model import closest
from components.contract.errors import InputError


class MissingColumn(InputError):  # noqa: N818 - a kind of InputError
    """A file lacks a column that it should have."""


@dataclass
class ColumnSelection:
    """The columns to read of one file, and those that it lacks."""

    columns: tuple[str, ...]
    optional: frozenset[str] = frozenset()  # the file may lack these
    incidental: frozenset[str] = frozenset()  # optional ones whose absence isn't counted
    absent: dict[str, str] | None = field(default=None, init=False)  # column -> error; None where the file's columns aren't known

    def check(self, path: str, present: list[str], *, hint: str = "") -> tuple[str, ...]:
        """Compare with the columns that a file has.

        Args:
            path: of the file.
            there: its columns.
            hint: advice for the error where one is missing.

        Returns:
            The selected columns that the file has.

        Raises:
            InputError: one that it can't do without isn't there, or one is there twice.
        """
        self.absent = {}
        for name in self.columns:
            if name not in present:
                self.mark_absent(name, missing_column(path, name, present, hint=hint))
            elif present.count(name) > 1:
                raise doubled_column(path, name, present)
        return tuple(name for name in self.columns if name in present)

    def mark_absent(self, name: str, error: MissingColumn) -> None:
        """Record that a column is absent, or raise the error where the file can't do without it."""
        if name not in self.optional:
            raise error
        self.absent = {**(self.absent or {}), name: str(error)}


def missing_column(path: str, name: str, present: Sequence[str], *, hint: str = "") -> MissingColumn:
    """Return the error for a column that a file lacks."""
    return MissingColumn(f"{path}: expected a column {name!r}, which isn't there; {hint or closest(name, present)}")


def doubled_column(path: str, name: str, present: Sequence[str]) -> InputError:
    """Return the error for a column that a file has more than once."""
    return InputError(f"{path}: expected one column {name!r}, found {present.count(name)}; rename all but the one that is meant")
