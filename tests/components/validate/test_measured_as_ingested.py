"""What validate measures of labelled actions is what ingestion counts, on random logs."""

import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.ingest.counts import NO_LABEL
from components.ingest.requests.attribution import CAUSES
from components.validate.attribution import measure
from components.validate.events import duplicates, scan_events
from components.validate.tables import TableCheck
from tests.components.ingest.generators.random_shops import (
    CATALOGUE,
    SHOPS,
    START_US,
    Event,
    blocks_of,
    dataset_text,
    events,
    ingested,
    parsed,
    write_log,
)
from tests.components.ingest.test_replay_service import OF_LISTS
from tests.components.ingest.without_beam import NOW_US


@pytest.mark.parametrize("name", OF_LISTS)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_causes_and_requests_are_those_of_ingestion(name: str, data: st.DataObject) -> None:
    shop = SHOPS[name]
    kept = Event(START_US, "a", "i0", "click", "r0", shown=(("i0", 1.0),) if shop.form == "list" else ())
    log = [*data.draw(events(shop), label="log"), kept]
    text = dataset_text(shop)
    with tempfile.TemporaryDirectory() as folder:
        write_log(Path(folder), log, group_rows=7)
        counts = ingested(text, Path(folder), Path(folder) / "out", partitions=2, blocks=blocks_of(text, Path(folder))).counts.numbers
        tables = {"items": TableCheck(pl.Series(list(CATALOGUE)), ())}
        result = scan_events(parsed(text), folder, now_us=NOW_US, tables=tables)
    measured = measure(result.attributed, parsed(text), duplicates(result)["seq"])
    causes = dict(measured.unattributed["cause"].value_counts().iter_rows())
    assert {CAUSES[code]: number for code, number in causes.items()} == {
        name.removeprefix(f"kept {NO_LABEL}"): number for name, number in counts.items() if NO_LABEL in name
    }
    assert measured.labelled == counts.get("labelled actions", 0)
