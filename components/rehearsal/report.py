"""The result of a rehearsal: latency and score parity, with a sentence for each check."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from components.evaluation.gates.gate_result import Finding

FILE = "rehearsal.json"
# Both signatures run the same graph in float32, in batches of different sizes: rounding differs by a few 6e-8 (one unit in the last
# place of a number near 1), a wrong feature by far more.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Rehearsal:
    """The measurements of a model in a model server.

    Attributes:
        requests: how many sampled requests were replayed.
        lengths: that lists are padded to, with a warm-up request for each.
        budget_ms: the limit of the p99.
        fault: why the model couldn't be loaded or didn't answer; "" where it did. The fields below are None then.
        differing: requests with a score that isn't the offline one.
        difference: greatest absolute difference of a score; None also where a score is NaN.
        example: one difference in words; "" where there is none.
        p50_ms: of the requests' latency, one client, one request at a time.
        p99_ms: likewise.
    """

    requests: int
    lengths: tuple[int, ...]
    budget_ms: float
    fault: str = ""
    differing: int | None = None
    difference: float | None = None
    example: str = ""
    p50_ms: float | None = None
    p99_ms: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the model may be released."""
        return all(finding.passed for finding in self.findings)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The result of each check, as for the gates."""
        if self.fault or self.differing is None or self.p50_ms is None or self.p99_ms is None:
            return (Finding(False, f"the model server couldn't serve the model: {self.fault}."),)
        return (self._parity(self.differing), self._latency(self.p50_ms, self.p99_ms))

    def to_json(self) -> str:
        """Return the text of the file."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @staticmethod
    def from_json(content: dict[str, Any]) -> "Rehearsal":
        """Read the file's content."""
        return Rehearsal(**content | {"lengths": tuple(content["lengths"])})

    def _parity(self, differing: int) -> Finding:
        apart = "by more than can be said" if self.difference is None else f"by up to {self.difference:.1e}"
        if differing:
            text = f"served scores of {differing:,} of {self.requests:,} recorded requests differ from the offline ones, {apart}"
            return Finding(False, f"{text} (limit {TOLERANCE:.0e}); {self.example}.")
        text = f"served scores of {self.requests:,} recorded requests are the offline ones"
        return Finding(True, f"{text} (greatest difference {self.difference or 0:.1e}, limit {TOLERANCE:.0e}).")

    def _latency(self, p50_ms: float, p99_ms: float) -> Finding:
        passed = p99_ms <= self.budget_ms
        against = "within" if passed else "above"
        return Finding(passed, f"served requests took {p50_ms:.1f} ms (p50), {p99_ms:.1f} ms (p99), {against} {self.budget_ms:g} ms.")
