"""Each public data set goes from its files to a release or a refusal by two commands: `shelfrank init` and `shelfrank run`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.public_logs import WRITERS, make_world, write_public
from pipeline.cli import EXIT_REFUSED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("name", WRITERS)
def test_a_data_set_trains(name: str, tmp_path: Path) -> None:
    write_public(name, tmp_path / "data", make_world(visits=1000))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    shelfrank = [sys.executable, "-m", "pipeline.cli"]
    file = tmp_path / f"{name}.yaml"
    init = [*shelfrank, "init", "data", "-o", str(file), "--prepare", "prepared"]
    drafted = subprocess.run(init, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert drafted.returncode == 0, drafted.stderr
    run = [*shelfrank, "run", str(file), "--root", "run", "--json"]
    ended = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    # So few requests may not be enough for a gate; that it was judged is what is tested here.
    assert ended.returncode in (0, EXIT_REFUSED), ended.stderr
    result = json.loads(ended.stdout)
    (overall,) = (row["metrics"] for row in result["slices"] if not row["slice"])
    assert 0.5 < overall["auc"]["challenger"] <= 1.0
