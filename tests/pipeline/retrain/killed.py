"""Retrain once with the cheap training, looking until the cycle has ended: a process for tests to kill."""

import sys
from pathlib import Path

from components.drift.decision import Action
from pipeline.ops.releases import Deployment
from pipeline.retrain.ledger import Ledger
from pipeline.retrain.retrainer import RetrainConfig, Retrainer
from pipeline.retrain.schedule import Every
from pipeline.retrain.triggers import ScheduleTrigger
from tests.pipeline.retrain.standin import StandIn

root = Path(sys.argv[1])
config = RetrainConfig(folder=root / "retrain", deployment=Deployment(root / "releases"))
trainer = StandIn(root / "releases", takes_s=0.2)
retrainer = Retrainer(config, trainer, [ScheduleTrigger(Every(86_400.0), Action.RETRAIN_FULL)], lambda text: print(text, flush=True))
print("ready", flush=True)
input()
retrainer.start()
while not (cycles := Ledger(root / "retrain").history().cycles) or cycles[0].outcome is None:
    retrainer.look()
