"""What all tests share: the environment that TensorFlow reads once when imported, and the folder of real data."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples on every run, so that a change that breaks nothing can't fail; `--hypothesis-profile search` draws new ones.
settings.register_profile("same", derandomize=True)
settings.register_profile("search")
settings.load_profile("same")

# TFRS 0.7 refuses Keras 3; TensorFlow's own log lines aren't warnings that a test could catch.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

ROOT = Path(__file__).resolve().parents[1]


def real_data_folder() -> Path:
    """$SHELFRANK_REAL_DATA, or `shared/data` beside the checkout; the test is skipped where there is none."""
    folder = Path(os.environ.get("SHELFRANK_REAL_DATA") or ROOT.parent / "shared/data")
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is no folder (set SHELFRANK_REAL_DATA)")
    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("real_data"):
        real_data_folder()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets."""
    return real_data_folder()
