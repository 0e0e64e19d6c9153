"""Say in names and sentences what an audit found; the terminal and the HTML page show the same."""

from collections.abc import Iterator, Mapping
from typing import Any

from components.contract.values.local_time import moment
from pipeline.audit.audit import Audit, Status
from pipeline.audit.release_facts import ReleaseFacts
from pipeline.audit.rescore import TOLERANCE

Facts = list[tuple[str, str]]
MOST_FILES = 8
MOST_REASONS = 3


def verdict(audit: Audit) -> tuple[bool | None, str]:
    """Return whether the scores were confirmed (None: nothing to confirm, or not possible), and the sentence."""
    rescored = audit.rescored
    passed = {Status.SAME: True, Status.DIFFERENT: False}.get(audit.status)
    if rescored is None:
        return passed, f"{_capital(audit.status.value)}." + (f" {_capital(audit.reason)}" if audit.reason else "")
    if not rescored.compared:
        return None, "None of the candidates could be scored again."
    source = "the features in the log" if rescored.source == "log" else "the features that an ingestion computed from the log"
    relation = "within" if rescored.agrees else "more than"
    return passed, (
        f"Release {audit.decision.version} scores {rescored.compared:,} of {len(audit.decision.items):,} candidates by {source}: greatest"
        f" difference {rescored.max_difference:.1e}, {relation} {TOLERANCE:.0e}."
    )


def request_facts(audit: Audit) -> Facts:
    """Say who asked, when, and what answered."""
    decision = audit.decision
    answered = f"release {decision.version}" if decision.version is not None else "no release"
    if decision.label:
        answered += f", asked as {decision.label}"
    if decision.model_ms is not None:
        answered += f", in {decision.model_ms:.1f} ms"
    seen = f"the first {decision.shown} places count as seen" if decision.shown else "the page reports what was seen"
    facts = [
        ("time", f"{decision.time:%Y-%m-%d %H:%M:%S.%f} UTC"),
        ("shopper", decision.shopper or "a guest"),
        ("session", decision.session),
        ("answered by", answered),
        ("arms", ", ".join(f"{experiment}: {arm}" for experiment, arm in decision.arms.items()) or "none"),
        ("degraded", decision.degraded),
        ("candidates", f"{len(decision.items):,}" + (f", from the source {decision.source}" if decision.source else "")),
        ("seen", seen),
        ("order", decision.order_fault or ("follows from scores and rules" if decision.scores is not None else "")),
    ]
    return [(name, text) for name, text in facts if text]


def reason_lines(row: Mapping[str, Any]) -> list[str]:
    """Say why a row of the list scores as it does, and why above the next by score; nothing without reasons."""
    lines = [f"{'+' if each['effect'] > 0 else '-'} {each['text']}" for each in row["reasons"][:MOST_REASONS]]
    if row["above"] is not None and row["above"]["reasons"]:
        lines.append(f"above {row['above']['item']}: {'; '.join(each['text'] for each in row['above']['reasons'])}")
    return lines


def lineage_facts(audit: Audit) -> Facts:
    """Trace the decision back to the log files that its release learned from."""
    sha256 = f", SHA-256 {audit.line.sha256}" if audit.line.sha256 else ", still written"
    facts = [("decision", f"{audit.line.file}, byte {audit.line.offset:,}{sha256}")]
    return facts + (list(_release_facts(audit.release)) if audit.release is not None else [])


def _release_facts(release: ReleaseFacts) -> Iterator[tuple[str, str]]:
    manifest = release.manifest
    known = {
        "release": "in the store",
        "removed": f"removed {_moment(release.removed_us)}; what follows is its record",
        "lineage": "gone; what follows is the record of the run that made it",
        "": "gone, and nothing is left that tells of it",
    }[release.source]
    yield "release", f"{release.version}, {known}" + (f"; labelled {', '.join(release.labels)}" if release.labels else "")
    if manifest is None:
        return
    intact = {True: ", which the files still have", False: ", which the files don't have any more", None: ""}[release.intact]
    yield "digest", f"SHA-256 {manifest.content}{intact}"
    yield "published", f"{_moment(manifest.created_us)}, by ShelfRank {manifest.code}"
    yield "dataset file", f"{manifest.dataset}, SHA-256 {manifest.dataset_digest}"
    window = manifest.data_window
    yield "data", f"{window.get('first event')} to {window.get('last event')}"
    if manifest.parent is not None:
        yield "release before", str(manifest.parent)
    if manifest.base is not None:
        yield "weights from", f"release {manifest.base}, trained further"
    yield from _run_facts(release.lineage)


def _run_facts(lineage: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    if lineage is None:
        yield "run", "its record isn't below the store"
        return
    yield "run", f"ended {lineage['made_at']}, against {lineage['champion']}"
    if examples := lineage["artifacts"].get("EventExampleGen.examples"):
        yield "examples", examples
    if model := lineage["artifacts"].get("Trainer.model"):
        yield "model", model
    files = lineage["data"].get("files")
    if files is None:
        yield "log files", f"below {lineage['data']['root']}; the run didn't list them"
        return
    for number, file in enumerate(files[:MOST_FILES]):
        yield "" if number else "log files", f"{file['path']}, {file['bytes']:,} bytes"
    if len(files) > MOST_FILES:
        yield "", f"and {len(files) - MOST_FILES:,} more, all in --json"


def _moment(time_us: int | None) -> str:
    return "" if time_us is None else f"{moment(time_us):%Y-%m-%d %H:%M:%S} UTC"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
