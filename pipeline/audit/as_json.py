"""Turn audits into the JSON that `shelfrank audit --json` prints."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pipeline.audit.audit import Audit, Status
from pipeline.audit.release_facts import ReleaseFacts
from serving.exposure.json_values import to_json


def audit_json(audit: Audit) -> dict[str, Any]:
    """Return an audit as JSON."""
    decision, rescored = audit.decision, audit.rescored
    document: dict[str, Any] = to_json(
        {
            "request": decision.request,
            "status": audit.status.name.lower(),
            "verdict": audit.status.value,
            "reason": audit.reason,
            "time": decision.time.isoformat(),
            "shopper": decision.shopper or None,
            "session": decision.session or None,
            "arms": dict(decision.arms),
            "label": decision.label,
            "version": decision.version,
            "degraded": decision.degraded,
            "model_ms": decision.model_ms,
            "source": decision.source,
            "shown": decision.shown,
            "list": shelf_rows(audit),
            "not_shown": _filtered(audit),
            "order_fault": decision.order_fault,
            "rescored": None
            if rescored is None
            else {
                "features_from": rescored.source,
                "candidates": rescored.compared,
                "max_difference": rescored.max_difference,
                "scores": list(rescored.scores),
            },
            "features": decision.features,
            "actions": None if audit.actions is None else [asdict(action) for action in audit.actions],
            "log": {"file": str(audit.line.file), "offset": audit.line.offset, "sha256": audit.line.sha256 or None},
            "release": None if audit.release is None else release_json(audit.release),
        }
    )
    return document


def release_json(release: ReleaseFacts) -> dict[str, Any]:
    """Return what is known of a release as JSON: its manifest, and the lineage without the graph."""
    lineage = release.lineage
    return {
        "version": release.version,
        "gone": release.gone,
        "known_from": release.source,
        "digest": None if release.manifest is None else release.manifest.content,
        "files_intact": release.intact,
        "removed_us": release.removed_us,
        "labels": list(release.labels),
        "there": list(release.there),
        "manifest": None if release.manifest is None else asdict(release.manifest),
        "lineage": None if lineage is None else {name: lineage.get(name) for name in ("made_at", "code", "image", "data", "artifacts")},
    }


def shelf_rows(audit: Audit) -> list[dict[str, Any]]:
    """Return a row for each position of the order: item, scores, rules, reasons, and what the shopper did with it.

    `above` says why it scores higher than the next by score, which rules may have moved elsewhere.
    """
    decision, rescored, why = audit.decision, audit.rescored, audit.why
    above = {} if why is None else {pair.above: pair for pair in why.pairs}
    return [
        {
            "position": decision.first_position + rank,
            "item": decision.items[index],
            "score": None if decision.scores is None else decision.scores[index],
            "recomputed": None if rescored is None else rescored.scores[index],
            "counted_as_seen": rank < decision.shown,
            "rules": decision.rules_of(decision.items[index]),
            "actions": [action.action for action in audit.actions or () if action.item == decision.items[index]],
            "reasons": [] if why is None else [asdict(reason) for reason in why.reasons[index]],
            "above": None
            if index not in above
            else {"item": decision.items[above[index].below], "reasons": [asdict(reason) for reason in above[index].reasons]},
        }
        for rank, index in enumerate(decision.order)
    ]


def _filtered(audit: Audit) -> list[dict[str, Any]]:
    decision = audit.decision
    shown = set(decision.order)
    return [{"item": item, "rules": decision.rules_of(item)} for index, item in enumerate(decision.items) if index not in shown]


def worst(audits: Sequence[Audit]) -> Status:
    """Return the status that says most against the audits."""
    order = [Status.SAME, Status.NO_MODEL, Status.NOT_ASKED, Status.NOT_LOGGED, Status.RELEASE_GONE, Status.DIFFERENT]
    return max((audit.status for audit in audits), key=order.index)
