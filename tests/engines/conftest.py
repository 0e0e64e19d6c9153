"""A shop with a whole run on this machine, whose models and results the tests of all engines share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.beam.whole_graph import whole_run, write_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a shop's logs, its dataset file and a run in `local`."""
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder)
    whole_run(folder, "local", "local")
    return folder


@pytest.fixture
def jars_removed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remove the jars that Beam makes of jobs by REST, some hundred megabytes each, and leaves."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield
