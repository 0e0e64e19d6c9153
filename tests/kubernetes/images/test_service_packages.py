"""requirements/service.lock is enough for what the service's image runs, and holds nothing of TensorFlow, TFX or Beam."""

import os
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PARTS = ("components", "pipeline", "serving", "trainer")
COMMANDS = [
    ["-m", "serving.service", "--help"],
    ["-m", "serving.exposure", "--help"],
    ["-m", "pipeline.cli", "guard", "--help"],
    ["-m", "pipeline.cli", "releases", "list", "--root", "."],
    [
        "-c",
        "import pipeline.ops.guard, pipeline.terminal.console, serving.service.tracing.spans, serving.state.redis",
    ],
    *([["-m", "serving.mirror", "--help"]] if (ROOT / "serving/mirror/__main__.py").exists() else []),
]


def locked() -> list[str]:
    text = (ROOT / "requirements/service.lock").read_text()
    pins = re.findall(r"^([a-z0-9-]+)==\S+(?: ; (.*?))? \\$", text, re.MULTILINE)
    return [name for name, marker in pins if "python_full_version < '3.11.3'" not in marker]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of links to those packages alone, as in the image."""
    folder = tmp_path_factory.mktemp("packages")
    for name in locked():
        for file in distribution(name).files or []:
            top, origin = Path(file.parts[0]), distribution(name).locate_file("")
            if top.name in ("..", "__pycache__"):
                continue
            if top.name in ("google", "opentelemetry"):  # shared with packages that aren't in the image
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).symlink_to(Path(str(origin)) / file)
            elif not (folder / top).is_symlink():
                (folder / top).symlink_to(Path(str(origin)) / top)
    for part in PARTS:
        (folder / part).symlink_to(ROOT / part)
    record = next(Path(str(distribution("shelfrank").locate_file(""))).glob("shelfrank-*.dist-info"))
    (folder / record.name).symlink_to(record)
    return folder


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command)[:40])
def test_the_images_commands_import_nothing_else(command: list[str], packages: Path, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(packages)}
    ran = subprocess.run([sys.executable, "-S", *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert not re.search("ModuleNotFoundError|ImportError", ran.stderr), ran.stderr
    assert ran.returncode == 0 or ran.stderr.startswith("shelfrank releases: "), ran.stderr


def test_nothing_heavy_is_locked() -> None:
    assert not {"tensorflow", "tfx", "apache-beam", "keras", "tf-keras", "numba", "polars", "kfp", "pandas", "scipy"} & set(locked())
