"""What `benchmarks.serving.service` compares: one request in four ways, which give the same scores."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_ways_give_one_answer_and_the_table_has_a_row_for_each() -> None:
    command = [sys.executable, "-m", "benchmarks.serving.service", "--candidates", "7", "--clients", "1", "2", "--calls", "20"]
    told = subprocess.run(command, cwd=ROOT, env={**os.environ, "COLUMNS": "120"}, check=True, capture_output=True, text=True).stdout
    (apart,) = re.findall(r"scores differ by (\S+) at\s+most", told)
    assert 0 <= float(apart) < 1e-6
    assert [told.count(way) for way in ("onnx", "direct", "model server")] == [2, 3, 2]  # the heading names `direct`
