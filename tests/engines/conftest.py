"""A shop, and the whole graph's results on it without an engine, that the tests of all engines share."""

from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.beam.whole_graph import whole_run, write_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a shop's logs and its dataset file."""
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder)
    return folder


@pytest.fixture(scope="session")
def local_run(shop: Path) -> dict[str, Any]:
    """The results of a run with all steps in this machine's processes."""
    return whole_run(shop, "local", "local")
