"""What Kubeflow's cache tells ingestion's runs apart by: the digest of its input, and the compiled parameters."""

import os
from pathlib import Path
from typing import Any

import pytest

from components.contract.errors import InputError
from pipeline.data_fingerprint import DataFingerprint
from tests.pipeline.test_graph import DATASET, compiled


def fingerprint(folder: Path, *, data_until: str = "") -> dict[str, Any]:
    outputs = DataFingerprint.test_call(dataset=DATASET, data_root=str(folder), data_until=data_until)
    assert isinstance(outputs, dict)
    return outputs


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "e.csv").write_text("time,user,item,action,request\n1,u,i,click,r\n")
    return tmp_path


def test_the_same_files_have_the_same_fingerprint_and_one_event_more_has_another(shop: Path) -> None:
    before = fingerprint(shop)
    assert fingerprint(shop) == before
    with (shop / "e.csv").open("a") as log:
        log.write("2,u,i,click,r\n")
    assert fingerprint(shop)["fingerprint"] != before["fingerprint"]


def test_a_file_that_was_written_again_at_its_size_has_another_fingerprint(shop: Path) -> None:
    before = fingerprint(shop)
    os.utime(shop / "e.csv", ns=(1, 1))
    assert fingerprint(shop)["fingerprint"] != before["fingerprint"]


def test_a_schedule_becomes_the_time_at_which_it_last_came_round(shop: Path) -> None:
    assert fingerprint(shop)["data_end"] == ""
    assert fingerprint(shop, data_until="2026-02-01")["data_end"] == "2026-02-01"
    end = fingerprint(shop, data_until="cron 0 0 3 * * * in UTC")["data_end"]
    assert end.endswith("T03:00:00+00:00")


def test_a_folder_without_the_files_is_a_fault_of_the_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"e\.csv: expected at least one file, found none"):
        fingerprint(tmp_path)


def test_the_step_is_there_only_where_the_fingerprint_isnt_known_beforehand() -> None:
    nodes = compiled(fingerprint=None)
    assert "DataFingerprint" not in compiled()
    assert list(nodes["EventExampleGen"].upstream_nodes) == ["DataFingerprint"]
