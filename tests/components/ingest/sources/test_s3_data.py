"""Logs in a bucket, reached as in a pod: by nothing but environment variables."""

import os
import subprocess
import sys
from pathlib import Path

import boto3
import polars as pl
import pytest
from apache_beam.io.filesystems import FileSystems

from components.contract.errors import InputError
from components.ingest.sources.files import layout
from pipeline.results.fingerprint import input_digest
from tests.components.ingest.component_run import recorded
from tests.components.ingest.generators.plain_shop import ITEMS, SHOP, USERS, as_csv, requests, write
from tests.components.ingest.generators.random_shops import parsed

DATASET = SHOP.replace("events.csv", "events/*.parquet")
ENV = {"PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture
def shop(tmp_path: Path, s3: str) -> str:
    """The same logs in a folder and in a bucket."""
    folder = tmp_path / "data"
    write(folder, "items.csv", as_csv(ITEMS))
    write(folder, "users.csv", as_csv(USERS))
    (folder / "events").mkdir()
    events = pl.DataFrame(requests())
    events[:30].write_parquet(folder / "events" / "a.parquet")
    events[30:].write_parquet(folder / "events" / "b.parquet")
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        boto3.client("s3").upload_file(str(path), s3.removeprefix("s3://"), f"logs/{path.relative_to(folder)}")
    return f"{s3}/logs"


@pytest.fixture(autouse=True)
def no_pipeline_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline that ran before would have told Beam's file systems their options."""
    monkeypatch.setattr(FileSystems, "_pipeline_options", None)


@pytest.mark.slow
def test_logs_in_a_bucket_are_found_before_any_pipeline_runs(shop: str) -> None:
    assert len(input_digest(parsed(DATASET), shop)) == 64
    assert layout(parsed(DATASET), shop).rows == 60


def test_a_pattern_that_matches_nothing_in_a_bucket_is_told(shop: str) -> None:
    with pytest.raises(InputError, match=r"^s3://.*/elsewhere/events/\*\.parquet: expected at least one file, found none"):
        layout(parsed(DATASET), f"{shop}/elsewhere")


@pytest.mark.slow
def test_ingestion_makes_of_a_bucket_what_it_makes_of_a_folder(shop: str, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset.yaml"
    dataset.write_text(DATASET)
    made = []
    for name, data in (("folder", str(tmp_path / "data")), ("bucket", shop)):
        code = "from tests.components.ingest.component_run import main; main()"
        command = [sys.executable, "-c", code, str(dataset), data, str(tmp_path / name)]
        subprocess.run(command, env=os.environ | ENV, check=True, capture_output=True)
        result = recorded(tmp_path / name)
        assert result.complete == 1
        folders = (result.artifacts["examples"], result.artifacts["state"])
        made.append([{path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} for folder in folders])
    assert len(made[0][0]) >= 3
    assert made[0] == made[1]
