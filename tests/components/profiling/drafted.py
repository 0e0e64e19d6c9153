"""Draft from rows that a test writes: what the tests of drafts share."""

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.profiling.answers import Answers
from components.profiling.drafts.draft import Draft, draft_dataset
from components.profiling.samples.file_groups import grouped
from components.profiling.samples.file_sample import read_sample
from components.profiling.samples.sampled_rows import sampled_table

NOW_US = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1e6)


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], *, separator: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]), delimiter=separator, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def drafted(folder: Path, answers: Answers | None = None) -> Draft:
    """The draft of all files of a folder."""
    paths = [str(path) for path in sorted(folder.rglob("*")) if path.is_file()]
    groups = grouped([sampled_table(read_sample(path)) for path in paths], now_us=NOW_US)
    return draft_dataset(groups, answers or Answers(), folder=str(folder))


def sources(draft: Draft) -> dict[str, dict[str, Any]]:
    """The sources by path, or by path and action where a path stands twice."""
    paths = [source["path"] for source in draft.dataset["events"]]
    return {
        source["path"] if paths.count(source["path"]) == 1 else f"{source['path']} {source.get('action', 'others')}": source
        for source in draft.dataset["events"]
    }


def kinds(draft: Draft) -> dict[str, str]:
    """Feature to kind."""
    return {feature["name"]: feature["kind"] for feature in draft.dataset["features"]}
