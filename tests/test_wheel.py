"""What a wheel holds besides the code."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = sorted((ROOT / "examples" / "public").glob("*.yaml"))


def test_a_wheel_has_every_file_that_the_code_reads_beside_itself(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        shop = packed.read("pipeline/cli/simulated_shop.yaml")
        public = {name: packed.read(f"components/profiling/known/public/{name}") for name in (path.name for path in PUBLIC)}
    assert shop == (ROOT / "examples" / "simulated_shop.yaml").read_bytes()
    assert public == {path.name: path.read_bytes() for path in PUBLIC}
    beside = {
        path.relative_to(ROOT).as_posix()
        for package in ("components", "pipeline", "serving", "trainer")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    assert beside - names == set()
