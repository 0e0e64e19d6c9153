"""A shop that retrains as its log grows: the second run begins with the first one's release, through the real graph."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from components.release.labels import to_beat
from components.release.manifest import read_manifest
from tests.pipeline.shop import shop_without_model

WEIGHTS = "variables.data-00000-of-00001"

# Two whole runs and a refresh.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

WARM = """
model: {epochs: 2, max_impressions: 30000, warm_start: true, warm_window: 1d}
gates: {drop: {auc: 0.9, ndcg_at_10: 0.9}, slice_drop: {}}
"""


def shelfrank(work: Path, *args: str) -> tuple[dict[str, Any], list[str]]:
    """What a command gives as JSON, and the lines it says."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    command = [sys.executable, "-m", "pipeline.cli", *args, "--json"]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr.splitlines()


def test_a_run_on_a_longer_log_begins_with_the_release_and_learns_from_the_newest_requests(tmp_path: Path) -> None:
    shelfrank(tmp_path, "simulate", "--out", "whole", "--events", "20000")
    events = pl.read_parquet(tmp_path / "whole" / "events" / "*.parquet")
    shutil.copytree(tmp_path / "whole", tmp_path / "earlier")
    shutil.rmtree(tmp_path / "earlier" / "events")
    (tmp_path / "earlier" / "events").mkdir()
    events.head(len(events) * 4 // 5).write_parquet(tmp_path / "earlier" / "events" / "part-0.parquet")
    text = shop_without_model().replace("buckets: 20000", "vocabulary: 20000") + WARM
    (tmp_path / "shop.yaml").write_text(text)

    first, said = shelfrank(tmp_path, "run", "shop.yaml", "--data", "earlier", "--root", "runs")
    assert any("no warm start" in line for line in said)
    second, _ = shelfrank(tmp_path, "run", "shop.yaml", "--data", "whole", "--root", "runs")
    log = max((tmp_path / "runs" / "logs").iterdir()).read_text()  # what there is no room for among the lines of a run
    (line,) = [line for line in log.splitlines() if "release 1" in line and "warm start" in line]
    assert "tables and kernels" in line

    releases = tmp_path / "runs" / "releases"
    manifests = [read_manifest(releases / str(version)) for version in (1, 2)]
    assert manifests[1].parent == 1
    curves = [json.loads((releases / str(version) / "assets.extra" / "history.json").read_text()) for version in (1, 2)]
    steps = [curve[0]["step"] for curve in curves]  # of the first epoch
    assert steps[1] < 0.7 * steps[0]  # the window, and what has come since
    # Two epochs of a fifth of the log teach a drawn network little; the second run stands on the first one's.
    assert second["training"][0]["eval_auc"] > first["training"][0]["eval_auc"]
    assert all(manifest.metrics["auc"] > 0.6 for manifest in manifests)

    refreshed, _ = shelfrank(tmp_path, "refresh", "shop.yaml", "--data", "whole", "--root", "runs", "--window", "20d")
    assert (refreshed["release"], refreshed["base"]) == (3, 2)
    assert Path(refreshed["delta"]).stat().st_size == refreshed["delta_bytes"] < (releases / "2" / "variables" / WEIGHTS).stat().st_size
    manifest = read_manifest(releases / "3")
    assert (manifest.parent, manifest.base) == (2, 2)
    assert manifest.verdict == (f"Passed: {refreshed['sentence']}",)
    assert (releases / "3" / "saved_model.pb").read_bytes() == (releases / "2" / "saved_model.pb").read_bytes()
    assert (releases / "3" / "variables" / WEIGHTS).read_bytes() != (releases / "2" / "variables" / WEIGHTS).read_bytes()
    assert to_beat(releases) == 2  # the refreshed one knows requests of the next run's test window
