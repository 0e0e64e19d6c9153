"""The service's features and state need none of the heavy frameworks."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CODE = """
import sys
import serving.features.build_tensors, serving.features.events, serving.state.memory, serving.state.redis
print(sorted({name.split(".")[0] for name in sys.modules} & {"tensorflow", "tfx", "apache_beam", "polars", "keras", "tf_keras"}))
"""


def test_no_heavy_framework_is_imported() -> None:
    assert subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip() == "[]"
