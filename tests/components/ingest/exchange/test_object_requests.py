"""How many objects the steps open and write to exchange rows: by files one an origin and partition, grouped none."""

from pathlib import Path
from typing import Any

import pytest

from components.ingest import block_steps, shuffle_files
from components.ingest.exchange import spill_files
from tests.components.ingest.exchange.test_grouped import grouped
from tests.components.ingest.generators.random_shops import SHOPS, blocks_of, dataset_text, ingested, write_log
from tests.components.ingest.test_determinism import large_log

P = 3
SHARED = {"index", "positive-events", "item-versions", "users"}  # frames that all blocks read, once a process


class Objects:
    """Counts the objects of the working folder that are written and opened, without the frames that all blocks share."""

    def __init__(self, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.work, self.written, self.opened = work, 0, 0
        for module, name in ((shuffle_files, "created"), (shuffle_files, "opened"), (spill_files, "opened")):
            monkeypatch.setattr(module, name, self.counting(name, getattr(module, name)))
        block_steps._frame.cache_clear()

    def counting(self, name: str, function: Any) -> Any:
        def counted(path: str) -> Any:
            if Path(path).is_relative_to(self.work) and Path(path).name not in SHARED:
                self.written += name == "created"
                self.opened += name == "opened"
            return function(path)

        return counted


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_log(tmp_path / "data", large_log(200), files=2, group_rows=50)
    return tmp_path / "data"


def test_by_files_each_partition_opens_one_object_a_writer(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = dataset_text(SHOPS["impressions"])
    writers = len(blocks_of(text, data))
    objects = Objects(tmp_path / "out" / "work", monkeypatch)
    ingested(text, data, tmp_path / "out", partitions=P, blocks=blocks_of(text, data))
    # By the scan events, shown lists, claims and items; by requests verdicts; by users item rows and requests; by items their state.
    assert objects.written == 4 * writers + 4 * P
    # All items by the index; shown lists, claims and events by each partition; verdicts, item rows and state of all partitions; requests.
    assert objects.opened == writers + 3 * P * writers + 3 * P * P + P


def test_grouped_no_object_is_opened_or_written(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = Objects(tmp_path / "out" / "work", monkeypatch)
    grouped(dataset_text(SHOPS["impressions"]), data, tmp_path / "out", partitions=P)
    assert (objects.written, objects.opened) == (0, 0)
    assert {path.name for path in (tmp_path / "out" / "work").iterdir()} <= SHARED
