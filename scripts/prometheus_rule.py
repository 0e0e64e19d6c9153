"""The operator's PrometheusRule out of the plain rules file: `python scripts/prometheus_rule.py` writes it anew."""

from pathlib import Path

MONITORING = Path(__file__).resolve().parents[1] / "kubernetes" / "monitoring"
PLAIN, MADE = MONITORING / "plain" / "rules.yaml", MONITORING / "prometheus-rule.yaml"
_HEAD = """\
# Made from plain/rules.yaml by scripts/prometheus_rule.py: change that file, and make this one anew.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: shelfrank
  namespace: shelfrank
  labels: {app.kubernetes.io/part-of: shelfrank, release: kube-prometheus-stack}
spec:
"""


def prometheus_rule(plain: str) -> str:
    """The same groups, indented under `spec`; the head's comments stay behind."""
    groups = plain[plain.index("groups:\n") :]
    return _HEAD + "".join(f"  {line}" if line.strip() else line for line in groups.splitlines(keepends=True))


if __name__ == "__main__":
    MADE.write_text(prometheus_rule(PLAIN.read_text(encoding="utf-8")), encoding="utf-8")
