"""The service needs none of the heavy frameworks, and no compiler: it is to start in a second or two, and small."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ["tensorflow", "tfx", "apache_beam", "polars", "keras", "tf_keras", "numba", "llvmlite", "scipy", "pandas"]
CODE = f"""
import sys
import serving.service.__main__, serving.state.redis
print(sorted({{name.split(".")[0] for name in sys.modules}} & set({HEAVY})))
"""


def test_no_heavy_framework_is_imported() -> None:
    assert subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip() == "[]"
