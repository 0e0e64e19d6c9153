"""Elements of a runner: of bounded size, in any order, with the columns even where there is no row."""

import random

import numpy as np
import polars as pl
import pytest

from components.ingest.exchange import elements
from components.ingest.exchange.elements import ElementInbox, ElementOutbox
from components.ingest.exchange.interface import concatenated


def test_rows_come_back_in_the_order_of_writers_whatever_the_order_of_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "MAX_BYTES", 16)
    out = ElementOutbox(partitions=2)
    for writer in ("b", "a"):
        rows = pl.DataFrame({"text": [f"{writer}{number}" for number in range(40)]})
        out.rows("events", writer, rows, np.arange(40) % 2)
    received = [element for partition, element in out.elements if partition == 1]
    assert len(received) > 4
    random.Random(1).shuffle(received)
    frame = concatenated(ElementInbox(received), "events")
    assert frame is not None
    assert frame["text"].to_list() == [f"{writer}{number}" for writer in "ab" for number in range(1, 40, 2)]


def test_no_element_holds_more_than_the_bound() -> None:
    out = ElementOutbox(partitions=1)
    noise = np.random.default_rng(1).integers(0, 2**63, 2_000_000)  # 16 MB that don't compress
    out.rows("events", "a", pl.DataFrame({"number": noise}), np.zeros(len(noise), np.int64))
    out.content("requests", 0, noise.tobytes())
    assert len(out.elements) >= 8
    assert max(len(content) for _, (*_, content) in out.elements) < 1.01 * elements.MAX_BYTES
    inbox = ElementInbox([element for _, element in reversed(out.elements)])
    assert inbox.content("requests") == noise.tobytes()


def test_a_step_without_rows_still_tells_its_own_partition_the_columns() -> None:
    out = ElementOutbox(partitions=3, home=1)
    out.rows("item-rows", "000001", pl.DataFrame(schema={"item": pl.Int64}), np.zeros(0, np.int64))
    assert [partition for partition, _ in out.elements] == [1]
    frame = concatenated(ElementInbox([element for _, element in out.elements]), "item-rows")
    assert frame is not None
    assert frame.schema == {"item": pl.Int64}
    assert concatenated(ElementInbox([]), "item-rows") is None
