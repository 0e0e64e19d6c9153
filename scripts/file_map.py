"""The README's file map, out of the first line of each file's docstring: `python scripts/file_map.py` writes it anew."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("components", "trainer", "serving", "pipeline", "benchmarks", "scripts")
BEGIN, END = "<!-- file map: made by scripts/file_map.py -->\n", "<!-- end of the file map -->\n"


def file_map(root: Path) -> str:
    """A table for each part, a row for each module; packages without a word of their own are left out."""
    lines: list[str] = []
    for part in PARTS:
        lines += [f"**{part}/**", "", "| file | what it is |", "|---|---|"]
        lines += [f"| `{path.relative_to(root / part).as_posix()}` | {line} |" for path, line in _described(root / part)]
        lines.append("")
    return "\n".join(lines)


def with_map(readme: str, made: str) -> str:
    """The README with the map between its marks."""
    before, rest = readme.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}{made}{END}{after}"


def _described(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.rglob("*.py")):
        told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        if told and path.name != "__init__.py":
            yield path, told.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(with_map(readme.read_text(encoding="utf-8"), file_map(ROOT)), encoding="utf-8")
