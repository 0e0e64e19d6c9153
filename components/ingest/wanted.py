"""Which columns are read of a file, and which of them it may lack."""

from dataclasses import dataclass, field

from components.contract.errors import InputError
from components.contract.strict import closest


@dataclass
class Wanted:
    """The columns to read of one file, and what became of them.

    `columns`: all of them. `optional`: those that the file may lack; `incidental`: those of them that nobody misses. `absent`: those that
    it does lack, each with a sentence about it; None as long as nothing is known of the file's columns, as in an empty one.
    """

    columns: tuple[str, ...]
    optional: frozenset[str] = frozenset()
    incidental: frozenset[str] = frozenset()
    absent: dict[str, str] | None = field(default=None, init=False)

    def check(self, path: str, there: list[str], *, hint: str = "") -> tuple[str, ...]:
        """Compare with the columns that a file has.

        Args:
            path: of the file.
            there: its columns.
            hint: what else to say where one is missing.

        Returns:
            The wanted columns that are there.

        Raises:
            InputError: one that it can't do without isn't there, or one is there twice.
        """
        self.absent = {}
        for name in self.columns:
            if name not in there:
                sentence = f"{path}: expected a column {name!r}, which isn't there; {hint or closest(name, there)}"
                if name not in self.optional:
                    raise InputError(sentence)
                self.absent[name] = sentence
            elif there.count(name) > 1:
                raise InputError(f"{path}: expected one column {name!r}, found {there.count(name)}; rename all but the one that is meant")
        return tuple(name for name in self.columns if name in there)
