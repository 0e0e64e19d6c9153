"""Ingestion equals the oracle on random logs, however the log is cut."""

import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.components.ingest.generators.random_shops import SHOPS, dataset_text, events, everything_or_nothing, write_log
from tests.components.ingest.oracle import expected


def same(result: list[Any], wanted: list[Any]) -> bool:
    """Equal; floats but for the rounding of decayed sums."""
    if len(result) != len(wanted):
        return False
    return all(
        (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-30) if isinstance(b, float) else a == b
        for a, b in zip(result, wanted, strict=True)
    )


@pytest.mark.parametrize("name", SHOPS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_examples_are_what_the_whole_past_says(name: str, data: st.DataObject) -> None:
    shop = SHOPS[name]
    log = data.draw(events(shop), label="log")
    files, group_rows, partitions = (data.draw(st.integers(1, most), label="cut") for most in (3, 7, 3))
    if shop.form == "sampling by event":
        files = 1  # such a request is named by its file and row
    wanted = expected(shop, log)
    with tempfile.TemporaryDirectory() as name:
        folder, text = Path(name), dataset_text(shop)
        write_log(folder, log, files=files, group_rows=group_rows)
        result = everything_or_nothing(text, folder, folder / "out", partitions=partitions)
    assert {key: split for key, (split, _) in result.items()} == {key: split for key, (split, _) in wanted.items()}
    for key, (_, columns) in wanted.items():
        wrong = {name: (result[key][1][name], values) for name, values in columns.items() if not same(result[key][1][name], values)}
        assert not wrong, key
        assert result[key][1].keys() == columns.keys()
