"""Render audits as one self-contained HTML page that can be mailed: no script, no external font or image."""

from collections.abc import Sequence

from jinja2 import PackageLoader, PrefixLoader

from components.evaluation.report.page_environment import page_environment
from pipeline.audit.as_json import audit_json
from pipeline.audit.audit import Audit
from pipeline.audit.facts import lineage_facts, reason_lines, request_facts, verdict
from pipeline.audit.terminal import score_text


def render_audits(audits: Sequence[Audit]) -> str:
    """Render the page."""
    environment = page_environment(
        PrefixLoader({"audit": PackageLoader("pipeline.audit", "."), "evaluation": PackageLoader("components.evaluation.report", ".")})
    )
    environment.filters |= {"score": score_text, "reason_lines": reason_lines}
    shown = [
        {
            "facts": request_facts(audit),
            "lineage": lineage_facts(audit),
            "verdict": verdict(audit),
            "document": audit_json(audit),
            "features": _features(audit),
        }
        for audit in audits
    ]
    return environment.get_template("audit/audit.html.j2").render(audits=shown)


def _features(audit: Audit) -> list[tuple[str, str]]:
    """List the features sent: values of the request and the history in a line, of the candidates in their order."""
    return [(name, str(values[0] if len(values) == 1 else values)) for name, values in sorted((audit.decision.features or {}).items())]
