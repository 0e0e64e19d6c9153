"""A cheap training, for tests of what is around it: it publishes a file as a model, after a while."""

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from components.contract.errors import ShelfRankError
from components.drift.decision import Reason, decide
from components.release.manifest import Manifest
from components.release.publish import publish
from pipeline.retrain.cycle import Cycle
from pipeline.retrain.training import Training

T0 = datetime(2026, 3, 1, 3, tzinfo=UTC)


@dataclass
class Clock:
    """A clock that tests set."""

    now: datetime = T0

    def __call__(self) -> datetime:
        return self.now

    def go(self, **step: float) -> None:
        self.now += timedelta(**step)


@dataclass
class StandIn:
    """Trains in no time, or in `takes_s`: a model whose content is the cycle's id, as equal cycles give equal models."""

    releases: Path
    takes_s: float = 0.0
    refused: bool = False
    content: str = ""
    errors: list[ShelfRankError] = field(default_factory=list)
    trained: list[str] = field(default_factory=list)

    def train(self, cycle: Cycle) -> Training:
        """Publish the model, unless an error is planned or the model is to be refused."""
        self.trained.append(f"{cycle.start} {cycle.data_until}")
        if self.errors:
            raise self.errors.pop(0)
        time.sleep(self.takes_s / 2)
        if self.refused:
            return Training(release=None, sentences=("AUC 0.412 is below 0.500.",))
        model = self.releases.parent / "models" / cycle.run_id
        model.mkdir(parents=True, exist_ok=True)
        (model / "saved_model.pb").write_text(self.content or cycle.run_id)
        made = publish(model, self.releases, Manifest(1, "shop", "", {}, {"auc": 0.7}, ("Passed.",), ("x",), "c"))
        time.sleep(self.takes_s / 2)
        return Training(release=made.version, sentences=made.verdict, metrics=made.metrics, processor_seconds=1.5)


def drift_report(file: Path, *reasons: Reason, made_at: datetime = T0) -> None:
    """Write what `shelfrank drift --json` would, as far as it is read."""
    decision = json.loads(decide(reasons).to_json())
    file.write_text(json.dumps({"release": "release 1", "made_at": made_at.isoformat(), "decision": decision}))
