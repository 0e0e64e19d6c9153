"""Offline estimates beside what an experiment measured, where the truth of both is known."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from benchmarks.experiment.files import experiment_text, planted_dataset
from benchmarks.experiment.shop import FIRST_US
from pipeline.experiment.report import report_experiment

PLACES, LISTS = 5, 6000
EXAMINATION = 1 / (1 + 0.5 * np.arange(PLACES))


def write_log(folder: Path) -> float:
    """Lists in a random order in the control, by relevance in the treatment, which is the control's shadow; returns the true gain."""
    rng = np.random.default_rng(3)
    folder.mkdir()
    decisions, interactions, shadows = [], [], []
    expected = np.zeros(2)
    for number in range(LISTS):
        user, arm, time = f"u{number // 4}", number // 4 % 2, FIRST_US + number * 60_000_000
        relevance = rng.beta(1, 4, PLACES)
        orders = np.arange(PLACES), np.argsort(-relevance)
        expected += [float(EXAMINATION @ relevance[order]) for order in orders]
        request = f"r{number}"
        decisions.append(
            {
                "request": request,
                "time": time,
                "user": user,
                "session": f"s{number // 4}",
                "degraded": "",
                "model_ms": float(rng.uniform(5, 9)),
            }
            | {"arms": {"new_ranker": ("control", "treatment")[arm]}, "items": [f"p{i}" for i in range(PLACES)]}
            | {"order": orders[arm].tolist(), "shown": PLACES}
        )
        shadows.append({"request": request, "time": time, "label": "canary", "version": "8", "scores": relevance.tolist()})
        for place, item in enumerate(orders[arm].tolist()):
            if rng.random() < EXAMINATION[place] * relevance[item]:
                event = {"time": time + 1_000_000, "user": user, "item": f"p{item}", "request": request, "session": f"s{number // 4}"}
                interactions.append(event | {"action": "click", "revenue": None, "quantity": None, "margin": None})
    for name, rows in (("decisions", decisions), ("interactions", interactions), ("shadows", shadows)):
        (folder / f"{name}-1.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return float(expected[1] / expected[0] - 1)


def test_the_estimate_and_the_measured_effect_hold_the_truth(tmp_path: Path) -> None:
    planted_dataset(tmp_path)
    truth = write_log(tmp_path / "log")
    lines = f"primary: click_rate\noff_policy: {{shadows: {{treatment: canary}}, examination: {EXAMINATION.round(6).tolist()}}}\n"
    (tmp_path / "experiment.yaml").write_text(experiment_text(shares={"control": 0.5, "treatment": 0.5}, lines=lines))
    made = report_experiment(tmp_path / "experiment.yaml", now=datetime(2026, 2, 1, tzinfo=UTC), say=lambda _: None)
    (estimate,) = made.off_policy
    assert truth > 0.2
    assert estimate.lists == LISTS / 2
    assert estimate.lower < truth < estimate.upper
    assert estimate.measured_lower is not None
    assert estimate.measured_upper is not None
    assert estimate.measured_lower < truth < estimate.measured_upper
    assert estimate.estimate == pytest.approx(truth, abs=0.12)
