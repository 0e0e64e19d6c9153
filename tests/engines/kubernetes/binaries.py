"""Build Kubernetes' API server and etcd from their Go modules; tests that need them are skipped where that isn't possible."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from components.contract.storage.file_lock import locked

NAMES = ("kube-apiserver", "etcd")
VARIABLE = "SHELFRANK_KUBERNETES_BIN"
_SOURCE = Path(__file__).with_name("servers")
_BUILD = Path(__file__).resolve().parents[3] / "build" / "engines" / "kubernetes"
_BUILD_S = 3600


def binaries() -> Path:
    """Return the folder of both binaries: $SHELFRANK_KUBERNETES_BIN, or where they are built, once for each version."""
    if ready := os.environ.get(VARIABLE):
        missing = [name for name in NAMES if not (Path(ready) / name).is_file()]
        if missing:
            raise FileNotFoundError(f"{VARIABLE}: expected {' and '.join(missing)} in {ready}; build them, or leave the variable out")
        return Path(ready)
    sources = sorted(path for path in _SOURCE.rglob("*") if path.is_file())
    folder = _BUILD / hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with locked(_BUILD / "lock"):
        if not all((folder / name).is_file() for name in NAMES):
            _build(folder)
    return folder


def _build(folder: Path) -> None:
    if shutil.which("go") is None:
        pytest.skip(f"no go here, and no {VARIABLE}: the API server can't be built")
    command = ["nice", "-n", "15", "go", "build", "-o", f"{folder}{os.sep}", *(f"./{name}" for name in NAMES)]
    done = subprocess.run(command, cwd=_SOURCE, capture_output=True, text=True, check=False, timeout=_BUILD_S)
    if done.returncode:
        pytest.skip(f"the API server can't be built from its Go modules: {done.stderr.strip()[-500:]}")
