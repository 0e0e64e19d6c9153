"""Tests on real data find their folder, or are skipped with a reason that names it."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def conftest() -> ModuleType:
    spec = importlib.util.spec_from_file_location("conftest_under_test", Path(__file__).with_name("conftest.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_variable_names_the_folder(conftest: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELFRANK_REAL_DATA", str(tmp_path))
    assert conftest.real_data_folder() == tmp_path


def test_without_the_folder_the_test_is_skipped_and_says_which(
    conftest: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELFRANK_REAL_DATA", str(tmp_path / "none"))
    with pytest.raises(pytest.skip.Exception, match=r"no real data: .*none is no folder \(set SHELFRANK_REAL_DATA\)"):
        conftest.real_data_folder()
