"""The report's sums add up, as counts.py says, on random logs; and every sample is the row of the log that it says it is."""

import json
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.ingest.counts import NO_LABEL, Counts, merged
from components.ingest.report import ingest_report
from components.ingest.sources.files import layout
from tests.components.ingest.generators.changing_shop import Row, Tables, shop_text, write_shop
from tests.components.ingest.generators.random_shops import (
    CATALOGUE,
    COUNTRIES,
    SECOND,
    SHOPS,
    START_US,
    Event,
    Ingested,
    Shop,
    blocks_of,
    by_prefix,
    dataset_text,
    events,
    ingested,
    parsed,
    write_log,
)
from tests.components.ingest.oracle import ACTIONS, LABELS

Samples = dict[str, list[dict[str, str]]]


def run(shop: Shop, log: list[Event], *, files: int = 1, partitions: int = 1) -> tuple[Ingested, dict[str, int], Samples]:
    """What is made of a log, and the counts and the samples of its report."""
    text = dataset_text(shop)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_log(folder, log, files=files, group_rows=5)
        made = ingested(text, folder, folder / "out", partitions=partitions, blocks=blocks_of(text, folder))
        report = json.loads(ingest_report(made.index, made.counts, layout(parsed(text), str(folder)), text))
    return made, report["counts"], report["samples"]


def is_what_the_reason_says(reason: str, event: Event) -> bool:
    listed = {item for item, _ in event.shown}
    match reason:
        case "unknown action":
            return event.action not in ACTIONS
        case "no user":
            return event.user == "" and event.action in ACTIONS
        case "no item":
            return event.item == "" and event.action in ACTIONS
        case "an impression without a request":
            return event.request == "" and event.action == "impression"
        case "a list is empty, or its columns are of unequal length":
            return not event.shown
        case "an item that the catalogue lacks" | "with missing values: events of items that the catalogue lacks":
            return bool({event.item, *listed} - {*CATALOGUE, ""})
    if reason.startswith(NO_LABEL):
        return event.action in LABELS
    raise AssertionError(reason)


@pytest.mark.parametrize("name", SHOPS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_nothing_is_lost_silently(name: str, data: st.DataObject) -> None:
    shop = SHOPS[name]
    # A log of which no event can be kept is refused.
    kept = Event(START_US, "a", "i0", "click", "r0", shown=(("i0", 1.0),) if shop.form == "list" else ())
    log = [*data.draw(events(shop), label="log"), kept]
    files, partitions = (data.draw(st.integers(1, most), label="cut") for most in (3, 3))
    made, counts, samples = run(shop, log, files=files, partitions=partitions)
    sums = by_prefix(made.counts)
    assert counts["rows read"] == len(log)
    assert sums["rows read"] + sums["rows added"] == sums["rows kept"] + sums["left out"] + sums["rejected"]
    assert sums["requests formed"] == sum(map(len, made.examples.values())) + sums["requests left out"]
    for split, result in made.examples.items():
        labels = [columns["label"] for columns in result.values()]
        assert counts.get(f"examples: {split} requests", 0) == len(labels)
        assert counts.get(f"examples: {split} candidates", 0) == sum(map(len, labels))
        assert counts.get(f"examples: {split} requests without a positive", 0) == sum(not any(each) for each in labels)
    for table, rows in (("items", len(CATALOGUE)), ("users", len(COUNTRIES))):
        assert counts[f"{table}: rows read"] == counts[f"{table}: rows kept"] == rows
    sampled = [name for name in counts if name.startswith(("rejected: ", "kept with missing values: events", f"kept {NO_LABEL}"))]
    assert set(samples) == {name.removeprefix("rejected: ").removeprefix("kept ") for name in sampled}
    in_a_file = -(-len(log) // files)
    for reason, rows in samples.items():
        for row in rows:
            event = log[int(row["file"][-len("0.parquet")]) * in_a_file + int(row["row"])]
            assert is_what_the_reason_says(reason, event)
            assert row.get("user", "") == event.user


@pytest.mark.parametrize(
    ("catalogue", "reason"), [(("i0", "i1"), f"{NO_LABEL}item not in the list"), (("i0",), "an item that the catalogue lacks")]
)
def test_a_sample_has_the_user_that_its_row_names_whoever_the_action_belongs_to(
    catalogue: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    lists = [Event(START_US, user, "i0", "impression", request) for user, request in (("a", "r0"), ("b", "r1"), ("", "r2"))]
    # Clicks that name a list which doesn't show the item; d1 is a's device.
    who = ["a", "d1", "c", "", "d1", "", "c"]
    named = ["r0", "r0", "r0", "r0", "r1", "r2", "r2"]
    clicks = [Event(START_US + n, user, "i1", "click", request) for n, (user, request) in enumerate(zip(who, named, strict=True))]
    items = [Row(item, 0, ("hats", 1.0, None)) for item in catalogue]
    write_shop(tmp_path, [*lists, *clicks], Tables(items, [Row("a", 0, ("DE",))], [Row("d1", 0, ("a",))]))
    counts = ingested(shop_text(Shop(), unknown_items="reject"), tmp_path, tmp_path / "out", partitions=3).counts
    assert {int(row["row"]): row["user"] for row in counts.samples[reason]} == dict(enumerate(who, len(lists)))
    assert set(counts.samples) == {reason}


def test_what_sampling_leaves_unlabelled_has_samples() -> None:
    shop = Shop(form="sampling", negatives=4)
    times = [START_US + n * 60 * SECOND for n in range(400)]
    log = [Event(at, f"u{n}", "i0" if n % 2 else f"i{1 + n % 3}", "click", f"r{n}") for n, at in enumerate(times)]
    _, counts, samples = run(shop, log, partitions=2)
    reason = f"{NO_LABEL}of an item too popular for so many negatives of each positive"
    assert 50 < counts[f"kept {reason}"] < 200
    rows = samples[reason]
    assert len(rows) == 10
    assert [(row["user"], row["item"]) for row in rows] == [(log[int(row["row"])].user, "i0") for row in rows]


def test_lists_count_their_candidates_as_rows_added() -> None:
    shown = (("i0", 1.0), ("i1", 2.5), ("i0", 1.0))
    log = [
        Event(START_US, "a", "i0", "click", "r0", shown=shown),  # 3 candidates, of which i0 stands twice, and a click
        Event(START_US + 1, "a", "", "click", "r1", shown=shown[:1]),  # nothing chosen
        Event(START_US + 2, "a", "i0", "click", "r2"),  # no list
        Event(START_US + 3, "a", "", "search"),
    ]
    _, counts, _ = run(Shop(form="list"), log)
    assert {name: number for name, number in counts.items() if name.startswith(("rows", "left out", "rejected"))} == {
        "rows read": 4,
        "rows added: candidates of lists": 4,
        "rejected: a list is empty, or its columns are of unequal length": 1,
        "left out: lists from which nothing was chosen; their candidates are kept": 1,
        "left out: an item shown twice in one request": 1,
        "rows kept": 5,
    }


def some(number: int, reason: str, *values: str) -> Counts:
    counts = Counts()
    counts.add("rows read", number)
    counts.reject(reason, pl.DataFrame({"__file__": "f", "c:user": values}))
    return counts


def test_merging_adds_numbers_and_keeps_the_first_ten_samples_of_each_reason() -> None:
    parts = [some(5, "late", *(f"u{n}" for n in range(7))), some(2, "early", "x"), some(1, "late", *(f"v{n}" for n in range(7)))]
    total = merged(parts)
    assert total.numbers == {"rows read": 8, "rejected: late": 14, "rejected: early": 1}
    assert [row["user"] for row in total.samples["late"]] == [*(f"u{n}" for n in range(7)), "v0", "v1", "v2"]
    assert total.samples["early"] == [{"file": "f", "user": "x"}]
    assert merged([merged(parts[:1]), merged(parts[1:])]) == total == merged([merged(parts[:2]), merged(parts[2:])])


def test_a_prefix_stands_before_every_name() -> None:
    total = merged([some(3, "late", "u")], prefix="users: ")
    assert total.numbers == {"users: rows read": 3, "users: rejected: late": 1}
    assert list(total.samples) == ["users: late"]


def test_zero_leaves_no_trace() -> None:
    counts = Counts()
    counts.add("rows read", 0)
    counts.reject("late", pl.DataFrame({"__file__": []}))
    assert (counts.numbers, counts.samples) == ({}, {})
