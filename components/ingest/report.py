"""Report what ingestion read, kept and dropped, and why."""

import json
from typing import Any

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.load import parse_dataset
from components.contract.values.local_time import moment
from components.ingest.counts import NO_LABEL, Counts, merged
from components.ingest.output.item_index import Index
from components.ingest.requests.attribution import CAUSES, REMEDIES
from components.ingest.requests.splits import SPLITS
from components.ingest.sources.beam_filesystem import size_bytes
from components.ingest.sources.files import Layout


def ingest_report(index: Index, counts: Counts, layout: Layout, dataset_text: str) -> bytes:
    """Return the report as JSON: `window` (ISO 8601, UTC), `counts` by name, `files` of events with their sizes,
    `empty_files`, `samples` of flawed rows by reason."""
    dataset = parse_dataset(dataset_text)
    files = Counts()
    files.add("files read", len({block.path for block in layout.blocks}))
    files.add("empty files", len(layout.empty_files))
    total = merged([counts, files])
    window: dict[str, Any] = {"by": dataset.windows.by, "first event": _iso(index.first_us), "last event": _iso(index.last_us)}
    if dataset.windows.by == "time":
        starts = index.window
        window |= {
            "train": _iso(starts.train_us),
            "eval": _iso(starts.eval_us),
            "test": _iso(starts.test_us),
            "until": _iso(starts.until_us),
        }
        window["gap_s"] = starts.gap_us / 1e6
    report = {
        "dataset": dataset.name,
        "window": window,
        "counts": dict(sorted(total.numbers.items())),
        "files": [{"path": path, "bytes": size_bytes(path)} for path in sorted({block.path for block in layout.blocks})],
        "empty_files": list(layout.empty_files),
        "samples": dict(sorted(total.samples.items())),
    }
    return json.dumps(report, indent=1).encode()


def require_examples(report: dict[str, Any]) -> None:
    """Raise InputError where a split is empty: a model couldn't be trained on it, or evaluated."""
    counts = report["counts"]
    empty = [split for split in SPLITS if not counts.get(f"examples: {split} requests")]
    if empty:
        listed = "; ".join(f"{name}: {number:,}" for name, number in counts.items())
        raise InputError(
            f"expected requests in the windows train, eval and test, found none in {', '.join(empty)};"
            f" look at `windows` ({report['window']}) and at what was left out ({listed})"
        )


def require_labels(report: dict[str, Any], dataset: Dataset) -> None:
    """Raise InputError where more label actions belong to no list than the dataset file allows (`unattributed`)."""
    counts, samples = report["counts"], report["samples"]
    labelled = counts.get("labelled actions", 0)
    lost = {cause: counts.get(f"kept {NO_LABEL}{cause}", 0) for cause in CAUSES.values()}
    lost = {cause: number for cause, number in lost.items() if number}
    if sum(lost.values()) <= dataset.unattributed * labelled:
        return
    causes = []
    for cause, number in sorted(lost.items(), key=lambda each: -each[1]):
        first = samples.get(f"{NO_LABEL}{cause}", [{}])[0]
        where = f", such as {first['file']}, row {int(first['row']):,}" if "file" in first else ""
        causes.append(f"{cause}: {number:,} ({number / labelled:.2%}{where}; {REMEDIES[cause]})")
    raise InputError(
        f"{sum(lost.values()):,} of {labelled:,} labelled actions ({sum(lost.values()) / labelled:.2%}) belong to no list,"
        f" more than the {dataset.unattributed:.3%} that `unattributed` allows. By cause: {'; '.join(causes)}."
        " Mend the log or the dataset file (`shelfrank validate` proposes `skew` and `attribution`), or raise `unattributed` where such"
        " actions are usual, as purchases without a list before them are"
    )


def _iso(time_us: int) -> str:
    return moment(time_us).isoformat()
