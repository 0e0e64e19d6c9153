"""Each public data set goes from its files to a release or a refusal by two commands: `shelfrank init` and `shelfrank run`."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ingest.public_logs import WRITERS, make_world, write_public
from pipeline.terminal.exit_code import EXIT_REFUSED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

STANDARD_ERRORS = 3.5


def shelfrank(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    command = [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def trained(name: str, work: Path) -> dict[str, Any]:
    write_public(name, work / "data", make_world(visits=2000))
    file = work / f"{name}.yaml"
    drafted = shelfrank("init", "data", "-o", file, "--prepare", "prepared", cwd=work)
    assert drafted.returncode == 0, drafted.stderr
    # What takes the time is the way through all steps: more epochs would learn the same few requests again.
    file.write_text(f"{file.read_text()}\nmodel: {{epochs: 2}}\n")
    ended = shelfrank("run", file, "--root", "run", "--json", cwd=work)
    # So few requests may not be enough for a gate; that it was judged is what is tested here.
    assert ended.returncode in (0, EXIT_REFUSED), ended.stderr
    result: dict[str, Any] = json.loads(ended.stdout)
    return result


@pytest.mark.parametrize("name", WRITERS)
def test_a_data_set_trains(name: str, tmp_path: Path) -> None:
    """The model isn't worse than chance by more than its error; where what was shown is known, it is better.

    Sampled candidates are drawn by popularity, so that little is left to learn from a few requests. The standard error of an AUC without
    signal is sqrt((1/P + 1/N) / 12) (Mann and Whitney 1947) for P positives and N independent negatives; of sampled ones only as many as
    there are takings are independent: N = P.
    """
    result = trained(name, tmp_path)
    (overall,) = (row["metrics"] for row in result["slices"] if not row["slice"])
    positives, auc = overall["positives"]["challenger"], overall["auc"]["challenger"]
    assert positives > 0
    sampled = "from: sampling" in (tmp_path / f"{name}.yaml").read_text()
    assert auc > 0.5 - (STANDARD_ERRORS * math.sqrt(2 / positives / 12) if sampled else 0)
