"""Messages become the events that ingestion makes of the same lines; what can't is rejected one by one, with the reason."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.ingest.counts import Counts
from components.ingest.events.clean_events import FrameContext, clean
from components.ingest.events.source_columns import event_columns
from components.ingest.formats.readers import frames
from components.ingest.sources.blocks import Block
from serving.stream.decode.make_decoder import make_decoder
from serving.stream.decode.rejections import NOT_JSON, TOO_LONG, WRONG_TYPE, WRONG_VALUE
from serving.stream.interface import Decoded
from tests.serving.stream.decode.shop import NOW_US, SHOP, TIME_MS, event, message, shop


def decode(values: list[bytes], dataset: Dataset | None = None, **options: Any) -> Decoded:
    return make_decoder(dataset or shop(), 0, **options).decode(values, now_us=NOW_US)


def reasons(decoded: Decoded) -> dict[int, str]:
    return dict(decoded.rejected.select("row", "reason").iter_rows())


def ingested(lines: list[bytes], dataset: Dataset, folder: Path) -> tuple[pl.DataFrame, Counts]:
    file = folder / "events.jsonl"
    file.write_bytes(b"\n".join(lines))
    block, counts, source = Block(0, 0, str(file), 0, 0), Counts(), dataset.events[0]
    parts = [
        clean(raw, dataset, FrameContext(block, NOW_US), counts) for raw in frames(block, source, event_columns(dataset, source), counts)
    ]
    return pl.concat(parts), counts


def test_events_and_counts_are_those_of_ingestion(tmp_path: Path) -> None:
    lines = [
        message(),
        message(what="impression", request=..., rank=..., paid=..., device="none"),
        message(who={"id": 7}, item=12, paid="2.5"),
        message(what="heartbeat"),
        message(what="yell"),
        message(ts=TIME_MS + 10**11),
        message(what="purchase", paid="much"),
        message(what="search", item="shoes"),
        message(who={}, vector=None),
        message(rank=1.5),
    ]
    dataset = shop()
    events, counts = ingested(lines, dataset, tmp_path)
    decoded = decode(lines, dataset)
    assert_frame_equal(decoded.events, events)
    assert decoded.counts == counts.numbers
    assert len(events) == 5
    unusable = {1: "an impression without a request", 4: "unknown action", 5: "the time lies in the future", 8: "no user"}
    assert reasons(decoded) == unusable
    assert decoded.raw["__row__"].to_list() == [0, 2, 3, 6, 7, 9]  # what is left out by the dataset file stays in the log
    assert "what=yell" in decoded.rejected.filter(pl.col("row") == 4)["detail"][0]


def test_poison_is_rejected_one_by_one_and_never_its_neighbours() -> None:
    poison = {
        b'{"a":': NOT_JSON,  # would be one object with the two below, were they read as one text
        b'"b": 1': NOT_JSON,
        b"}": NOT_JSON,
        b"": NOT_JSON,
        b"null": NOT_JSON,
        b"[" + message() + b"]": NOT_JSON,
        message() + message(): NOT_JSON,
        message() + b"\x00": NOT_JSON,
        message()[:-1]: NOT_JSON,
        b'{"a":' * 2_000 + b"1" + b"}" * 2_000: NOT_JSON,
        b'{"what": "cl\nick"}': NOT_JSON,
        b'{"what": click}': WRONG_VALUE,
        b'{"what": "click", "what": "buy"}': WRONG_VALUE,
        b'{"device": "\\ud800"}': WRONG_VALUE,
        b'{"device": "\\q"}': WRONG_VALUE,
        message(device="x").replace(b'"x"', b'"\xff"'): WRONG_TYPE,
        message(device={"a": 1}): WRONG_TYPE,
        message(who="u1"): WRONG_TYPE,
        message(shown=[{"price": [1]}]): WRONG_TYPE,
        message(ts=True): WRONG_TYPE,
        message(ts={"$date": 1}): WRONG_TYPE,
        message(item=1e20): WRONG_TYPE,
        message(vector=[1, 2, 3]): "column 'vector' hasn't 2 numbers",
        message(vector="none so"): WRONG_TYPE,
    }
    values = []
    for each in poison:
        values += [each, message(item=f"i{len(values)}")]
    decoded = decode(values)
    assert decoded.events["item"].to_list() == [f"i{at}" for at in range(0, len(values), 2)]
    assert decoded.events["seq"].to_list() == list(range(1, len(values), 2))
    assert reasons(decoded) == {at * 2: reason for at, reason in enumerate(poison.values())}
    assert decoded.raw["__row__"].to_list() == decoded.events["seq"].to_list()
    assert all(decoded.rejected["detail"])
    assert not any("row 500" in detail for detail in decoded.rejected["detail"])


SOME = st.sampled_from(
    [..., None, "", "none", 1, 2.5, "3", True, [], [1, 2], ["a"], {}, {"id": 1}, {"price": "x"}, {"price": 2}, 2**63, 1e300]
)
MESSAGES = st.one_of(
    st.builds(
        message,
        ts=st.sampled_from([TIME_MS, str(TIME_MS), "2026-06-01T10:00:00Z", True, None, [1]]),
        item=SOME,
        who=SOME,
        visit=SOME,
        rank=SOME,
        paid=SOME,
        shown=SOME,
        device=SOME,
        vector=SOME,
    ),
    st.builds(message, device=SOME),
    st.sampled_from([b"", b"[]", b"{}", b'{"a', message(what="impression"), message(what=1)]),
)


@settings(deadline=None, max_examples=25)
@given(st.lists(MESSAGES, min_size=1, max_size=8))
def test_what_becomes_of_a_message_does_not_depend_on_those_beside_it(values: list[bytes]) -> None:
    decoder = make_decoder(shop(), 0)
    together = decoder.decode(values, now_us=NOW_US)
    alone = [decoder.decode([value], now_us=NOW_US) for value in values]
    expected = pl.concat([each.events.with_columns(seq=pl.col("seq") + at) for at, each in enumerate(alone)])
    assert_frame_equal(together.events, expected)
    assert reasons(together) == {at: reason for at, each in enumerate(alone) for reason in each.rejected["reason"]}
    assert together.raw["__row__"].to_list() == [at for at, each in enumerate(alone) for _ in range(len(each.raw))]


def test_a_new_field_is_ignored_and_a_vanished_optional_one_is_missing() -> None:
    whole = decode([message(new={"deep": [1]}), message()])
    assert len(whole.events) == 2
    assert set(whole.raw.columns) == {*event_columns(shop(), shop().events[0]).columns, "version", "arms", "__row__"}
    without = decode([message(rank=..., paid=..., visit=..., shown=..., device=..., vector=...)])
    (row,) = without.events.iter_rows(named=True)
    assert (row["position"], row["session"], row["f:device"]) == (-1, "", "")
    assert all(value != value for value in (row["revenue"], row["f:price"], *row["f:vector"]))
    assert reasons(decode([message(item=...)])) == {0: "no item"}


def test_a_column_whose_type_changes_is_rejected_only_where_it_cannot_be_read() -> None:
    decoded = decode([message(), message(rank="4"), message(device=5), message(device=["a", "b"]), message(device={"name": "phone"})])
    assert decoded.events["position"].to_list() == [3, 4, 3, 3]
    assert decoded.events["f:device"].to_list() == ["phone", "phone", "5", "a b"]
    assert reasons(decoded) == {4: WRONG_TYPE}


def test_rows_of_an_array_carry_the_index_of_their_message() -> None:
    dataset = shop(SHOP.replace("path: events.jsonl", "path: events.jsonl\n  unnest: lines").replace("item: item", "item: lines.item"))
    values = [
        json.dumps(event(item=..., lines=[{"item": name} for name in names])).encode() for names in (["a", "b"], [], ["c", None], [None])
    ]
    decoded = decode([b"x", *values], dataset)
    assert decoded.events.select("item", "seq").rows() == [("a", 1), ("b", 1), ("c", 3)]
    assert reasons(decoded) == {0: NOT_JSON, 4: "no item"}  # of message 3 an event is left: it isn't rejected
    assert decoded.raw["__row__"].to_list() == [1, 1, 3, 3]
    assert decoded.counts["left out: rows whose array to unnest is empty"] == 1


def test_a_condition_is_applied_as_in_ingestion_also_where_a_value_cannot_be_compared() -> None:
    dataset = shop(SHOP.replace("path: events.jsonl", "path: events.jsonl\n  where: paid > 1"))
    decoded = decode([message(), message(paid=0.5), message(paid="2"), message(paid=None)], dataset)
    assert decoded.events["seq"].to_list() == [0]
    assert decoded.counts["left out: by the condition `where`"] == 2
    assert reasons(decoded) == {2: WRONG_TYPE}
    assert "compare with text" in decoded.rejected["detail"][0]


def test_a_long_message_is_rejected_before_it_is_parsed() -> None:
    decoded = decode([message(), message(device="x" * 500)], longest_bytes=400)
    assert reasons(decoded) == {1: TOO_LONG}
    assert decoded.rejected["detail"][0].startswith("expected at most 400 bytes, got 6")


def test_no_message_gives_no_event() -> None:
    decoded = decode([])
    assert (len(decoded.events), len(decoded.raw), len(decoded.rejected)) == (0, 0, 0)
    assert decoded.events.schema == decode([message()]).events.schema


def test_a_source_that_fills_values_down_is_refused() -> None:
    dataset = shop(SHOP.replace("path: events.jsonl", "path: events.jsonl\n  fill_down: {within: request, columns: [device]}"))
    with pytest.raises(InputError, match="`fill_down` takes values from the rows above, and a message stands alone"):
        make_decoder(dataset, 0)


def test_the_way_of_a_stream_imports_no_pipeline_framework() -> None:
    code = (
        "import pkgutil, importlib, sys, serving.stream\n"
        "for each in pkgutil.walk_packages(serving.stream.__path__, 'serving.stream.'):\n"
        "    if not each.name.endswith('__main__'): importlib.import_module(each.name)\n"
        "print(sorted({'apache_beam', 'tensorflow', 'tfx'} & set(sys.modules)), 'serving.stream.decode.decoder' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == ["[]", "True"]
