"""Measure `shelfrank init` on public formats: the share of correctly guessed roles, and the seconds for a large file.

    python -m benchmarks.ingest.init [--bytes 1000000000] [--work DIR]

Each format's files are written with generated values (`benchmarks.ingest.public_logs`). The expected roles are those of
the format's dataset file, for the files that it uses: the column of each role of each source, the table's id, the form
of the candidates, and which actions are labels. By name the format is recognised; by guess the files are treated as
unknown (`init --unknown`), by their names and values alone. Of formats that must be joined first, the joined files are
drafted. No question is answered, and no flag is set.

The large file is of REES46's layout, as CSV and as Parquet; only a sample of it is read, so the time is independent of
its size. The time of sampling and drafting is shown separately from that of validating a sample of the file.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from rich.table import Table

from benchmarks.ingest.public_logs import WRITERS, World, make_world, write_public
from components.contract.errors import InputError
from components.profiling.answers import Answers
from components.profiling.known.prepare import prepare
from components.profiling.known.public_formats import dataset_file, recognise
from components.profiling.samples.file_groups import FileGroup
from pipeline.cli.init import checked, draft, files_of, read_groups
from pipeline.terminal.console import console

_TABLES = ("items", "users")


@dataclass(frozen=True)
class Score:
    """Correct roles and all roles, by name and by guess; `missed`: the wrong guesses."""

    by_name: tuple[int, int]
    by_guess: tuple[int, int]
    missed: tuple[str, ...]


def facts(dataset: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """List the facts of a dataset file that guesses are scored by; `names`: columns of the guess to the files'."""
    events = dataset["events"] if isinstance(dataset["events"], list) else [dataset["events"]]
    for source in events:
        for role, column in source["columns"].items():
            those = column if isinstance(column, list) else [column]
            yield f"{source['path']} {role}", " + ".join(_position(source, each, names) for each in those)
    for table in _TABLES:
        if table in dataset:
            yield f"{table} id", _position(dataset[table], dataset[table]["id"], names)
    yield "candidates", f"{dataset['candidates']['from']} {dataset['candidates'].get('group', '')}".strip()
    of_all_rows = {source["action"] for source in events if "action" in source}
    for source in events:
        if "action" in source:
            yield f"are rows of {source['path']} labels", str(bool(dataset["actions"][source["action"]].get("label")))
    for name, action in dataset["actions"].items():
        for value in action.get("values", [name]) if name not in of_all_rows else ():
            yield f"is {value} a label", str(bool(action.get("label")))


def _position(source: Mapping[str, Any], column: str, names: Mapping[str, str]) -> str:
    """Name a column by its position where the file has no header."""
    header = source.get("header")
    return f"column {header.index(column)}" if header and column in header else names.get(column, column)


def score(name: str, world: World, folder: Path) -> Score:
    """Draft a format's files by name and by guess, and compare with its dataset file."""
    now_us = time.time_ns() // 1000
    groups = read_groups([str(path) for path in write_public(name, folder / "published", world)], now_us=now_us)
    matches = recognise(groups)
    if matches is not None and matches.raw:
        paths = {path: [file for group in those for file in group.paths] for path, those in matches.groups.items()}
        groups = read_groups([str(path) for path in prepare(name, paths, folder / "prepared")], now_us=now_us)
        matches = recognise(groups)
    if matches is None or matches.format.name != name:
        raise SystemExit(f"{name} isn't recognised by name")
    right = dict(facts(yaml.safe_load(draft(groups, matches, Answers(), folder=str(folder)).text), {}))
    truth = dict(facts(_with_paths(name, groups, folder), {}))
    try:
        guessed = dict(facts(yaml.safe_load(draft(groups, None, Answers(), folder=str(folder)).text), {}))
    except InputError:
        guessed = {}
    missed = [f"{what}: {guessed.get(what, 'none')} for {value}" for what, value in truth.items() if guessed.get(what) != value]
    named = sum(right.get(what) == value for what, value in truth.items())
    return Score((named, len(truth)), (len(truth) - len(missed), len(truth)), tuple(missed))


def _with_paths(name: str, groups: list[FileGroup], folder: Path) -> dict[str, Any]:
    """Return the format's dataset file with the paths of the written files."""
    matches = recognise(groups)
    assert matches is not None
    dataset: dict[str, Any] = yaml.safe_load(dataset_file(matches.format).read_text(encoding="utf-8"))
    paths = {path: those[0].pattern for path, those in matches.groups.items()}
    events = dataset["events"] if isinstance(dataset["events"], list) else [dataset["events"]]
    for source in (*events, *(dataset[table] for table in _TABLES if table in dataset)):
        source["path"] = str(Path(paths[source["path"]]).relative_to(folder))
    return dataset


def large_file(path: Path, world: World, size: int) -> None:
    """Write REES46's rows repeatedly until the file has `size` bytes; a Parquet file gets the same number of rows."""
    rows = (write_public("rees46", path.parent / "rows", world)[0]).read_bytes()
    header, _, body = rows.partition(b"\n")
    times = max(1, size // len(body))
    if path.suffix == ".parquet":
        frame = pl.read_csv(rows, infer_schema=False)
        pl.concat([frame] * times).write_parquet(path)
        return
    with path.open("wb") as out:
        out.write(header + b"\n")
        for _ in range(times):
            out.write(body)


def seconds(path: Path) -> tuple[float, float]:
    """Measure the seconds of sampling and drafting, and of validating a sample."""
    now_us = time.time_ns() // 1000
    begun = time.perf_counter()
    groups = read_groups(files_of([str(path)]), now_us=now_us)
    made = draft(groups, None, Answers(), folder=str(path.parent))
    drafted = time.perf_counter()
    try:
        checked(made.text, str(path.parent / "shop.yaml"), groups, now_us=now_us)
    except InputError as error:
        print(error)
    return drafted - begun, time.perf_counter() - drafted


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=1_000_000_000, help="size of the large file (default: 1e9)")
    parser.add_argument("--work", metavar="DIR", help="where files are written (default: a temporary folder)")
    parser.add_argument("--missed", action="store_true", help="print what a guess took for what instead")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.work) as work:
        _print_scores(Path(work), missed=args.missed)
        _print_seconds(Path(work), args.bytes)


def _print_scores(work: Path, *, missed: bool) -> None:
    world = make_world()
    table = Table("format", "roles", "right by name", "right by guess", title="Right at first guess", title_justify="left")
    totals = [0, 0, 0]
    for name in WRITERS:
        matches = score(name, world, work / name)
        table.add_row(name, str(matches.by_name[1]), _share(*matches.by_name), _share(*matches.by_guess))
        totals = [totals[0] + matches.by_name[1], totals[1] + matches.by_name[0], totals[2] + matches.by_guess[0]]
        for line in matches.missed if missed else ():
            print(f"{name}: {line}")
    table.add_row("all", str(totals[0]), _share(totals[1], totals[0]), _share(totals[2], totals[0]), style="bold")
    console().print(table)


def _share(right: int, all_of_them: int) -> str:
    return f"{right / all_of_them:.0%}"


def _print_seconds(work: Path, size: int) -> None:
    table = Table("file", "bytes", "sampled and drafted (s)", "validated on a sample (s)", title="Seconds", title_justify="left")
    world = make_world()
    for suffix in ("csv", "parquet"):
        for share in (0.1, 1.0):
            path = work / f"large-{share}" / f"events.{suffix}"
            path.parent.mkdir(exist_ok=True)
            large_file(path, world, int(size * share))
            measured = seconds(path)
            table.add_row(suffix, f"{path.stat().st_size:,}", *(f"{each:.1f}" for each in measured))
            path.unlink()
    console().print(table)


if __name__ == "__main__":
    main()
