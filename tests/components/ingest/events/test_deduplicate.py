"""Quick ways to drop repetitions and to sort give what polars gives."""

from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from components.ingest.events.deduplicate import drop_repeated
from components.ingest.sources.sorting import rank_texts, sorted_by
from tests.components.ingest.generators.random_shops import SECOND, START_US, Event, Shop, dataset_text, ingested, write_log

ROWS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["", "a", "b", "\x00a"]), st.sampled_from([0.0, -0.0, float("nan"), None])))


def frame(rows: list[tuple[int, str, float | None]]) -> pl.DataFrame:
    schema = {"number": pl.Int64, "text": pl.String, "float": pl.Float32}
    return pl.DataFrame(rows, schema=schema, orient="row").with_row_index("place")


@given(rows=ROWS)
def test_the_first_of_rows_that_agree_stays_in_its_place(rows: list[tuple[int, str, float | None]]) -> None:
    whole = frame(rows)
    for names in (["number"], ["number", "text"], ["number", "text", "float"]):
        assert_frame_equal(drop_repeated(whole, names), whole.unique(names, keep="first", maintain_order=True))


def test_rows_of_which_none_repeats_another_all_stay() -> None:
    whole = frame([(1, "a", None), (1, "b", None), (2, "a", 0.5)])
    assert_frame_equal(drop_repeated(whole, ["number", "text"]), whole)


@given(rows=ROWS)
def test_places_of_texts_sort_as_the_texts_do_and_equal_rows_keep_their_order(rows: list[tuple[int, str, float | None]]) -> None:
    whole = frame(rows)
    placed = whole.with_columns(rank_texts(whole["text"]).alias("text place"))
    assert_frame_equal(sorted_by(placed, "text place", "number").drop("text place"), whole.sort("text", "number", maintain_order=True))
    assert sorted(placed["text place"].unique()) == list(range(whole["text"].n_unique()))


def test_a_repeated_row_of_nobody_counts_once_into_however_many_partitions_the_log_is_cut(tmp_path: Path) -> None:
    """Guests without a request have no name that could bring a row and its repetition together: their content must."""
    rows = [Event(START_US + n * SECOND, "", "i0", "cart") for n in range(9)]
    text = dataset_text(Shop(form="sampling"))
    for partitions in (1, 2, 5):
        folder = tmp_path / f"{partitions}"
        write_log(folder, [*rows, *rows])
        assert ingested(text, folder, folder / "out", partitions=partitions).counts.numbers["left out: exact duplicates"] == 9
