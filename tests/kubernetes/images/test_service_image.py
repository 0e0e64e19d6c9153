"""The service's image, built by its own Dockerfile on Debian 13 without an engine, serves: not as root, on a root that can't be written."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import rootfs
import trixie
from build_image import Image, build
from prove_images import bases

from tests.serving.service.little_shop import ITEMS, write_shop

ROOT = Path(__file__).resolve().parents[3]
LACKING = rootfs.lacking() or trixie.lacking()
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.skipif(bool(LACKING), reason=f"no chroot: {LACKING}")]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    # SHELFRANK_IMAGES keeps the base between runs.
    kept = os.environ.get("SHELFRANK_IMAGES")
    folder = tmp_path_factory.mktemp("images")
    yield build("service", ROOT, folder, bases=bases(Path(kept) if kept else folder / "bases"))
    shutil.rmtree(folder)


@contextmanager
def network_of_its_own() -> Iterator[int]:
    """Nothing but a loopback, so that ports are free and no registry can be reached; gives a process that is in it."""
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep 600"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "up\n"
        yield holder.pid
    finally:
        holder.kill()
        holder.communicate()


def test_the_service_lives_and_ranks_as_a_user_on_a_read_only_root(image: Image, tmp_path: Path) -> None:
    dataset, state = write_shop(tmp_path)
    for path in (dataset.parent, state):
        path.chmod(0o755)
    health = image.final.only("HEALTHCHECK")
    assert health is not None
    check = json.loads(health.text.removeprefix("CMD"))
    with network_of_its_own() as net, (tmp_path / "log").open("w+") as log:
        root = replace(image.root, net_of=net, bound={"/shelfrank": dataset.parent})
        service = root.start(
            [
                "python",
                "-m",
                "serving.service",
                "/shelfrank/shop.yaml",
                "--state=/shelfrank/state",
                "--model-server=localhost:8500",
                "--model=shop",
            ],
            log,
        )
        try:
            deadline = time.monotonic() + 120
            while True:
                try:
                    root.run(check)
                    break
                except RuntimeError:
                    assert service.poll() is None, Path(log.name).read_text()
                    assert time.monotonic() < deadline, Path(log.name).read_text()
                    time.sleep(0.5)
            body = json.dumps({"shopper": "a", "candidates": ITEMS[:3]})
            told = root.run(["python", "-c", ASK, body]).stdout
            assert all(item in told for item in ITEMS[:3]), told
        finally:
            service.kill()  # unshare lets no other signal through, and takes the service along
            service.communicate(timeout=30)


ASK = """
import sys, urllib.request
ask = urllib.request.Request("http://127.0.0.1:8080/v1/rank", sys.argv[1].encode(), {"Content-Type": "application/json"})
try:
    print(urllib.request.urlopen(ask).read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
"""


def test_it_has_a_user_and_nothing_can_be_written_but_tmp(image: Image) -> None:
    assert image.root.run(["id", "-u"]).stdout.strip() == "10001"
    written = image.root.run(
        ["sh", "-c", "for at in / /opt/shelfrank /usr/local /var/tmp $HOME; do touch $at/x 2>/dev/null && echo $at; done; true"]
    )
    assert written.stdout.split() == ["/" + "tmp"]


def test_the_tools_that_built_it_are_not_in_it(image: Image) -> None:
    left = image.root.run(["sh", "-c", "for tool in uv g++ gcc make curl git; do command -v $tool; done; true"])
    assert left.stdout == ""
    packages = {
        path.name.split("-")[0].lower() for path in image.root.folder.glob("opt/shelfrank/lib/python3.11/site-packages/*.dist-info")
    }
    assert "shelfrank" in packages
    assert not {"tensorflow", "tfx", "apache_beam", "pip", "setuptools", "hatchling"} & packages


def test_every_module_is_there_as_bytecode(image: Image) -> None:
    site = image.root.folder / "opt/shelfrank/lib/python3.11/site-packages"
    lacking = [path for path in site.glob("serving/**/*.py") if not (path.parent / "__pycache__" / f"{path.stem}.cpython-311.pyc").exists()]
    assert not lacking
    (one,) = site.glob("serving/service/__pycache__/app.cpython-311.pyc")
    assert one.read_bytes()[4] == 0b01  # by hash, and never compared with the source
