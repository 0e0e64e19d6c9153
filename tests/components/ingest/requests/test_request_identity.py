"""A request is its id within its shopper and visit, and within a stretch of time without a long pause."""

import polars as pl

from components.ingest.requests.request_identity import request_rows, with_moments

PAUSE = 30


def moments(rows: list[tuple[int, str, int]]) -> list[int]:
    frame = pl.DataFrame(rows, schema={"key": pl.Int64, "request": pl.String, "time": pl.Int64}, orient="row")
    return with_moments(frame, ["key", "request"], pause_us=PAUSE)["time"].to_list()


def test_a_request_has_the_moment_of_its_first_row_in_whichever_order_they_stand() -> None:
    rows = [(0, "a", 12), (0, "a", 10), (0, "b", 11), (1, "a", 5), (0, "a", 10)]
    assert moments(rows) == [10, 10, 11, 5, 10]
    assert moments(rows[::-1]) == [10, 5, 11, 10, 10]


def test_a_longer_pause_begins_another_request_of_the_same_id() -> None:
    """Rows at 10, 40 and 70 hang together, each 30 after the one before; the one at 101 doesn't."""
    rows = [(0, "a", 101), (0, "a", 40), (0, "a", 70), (0, "a", 10), (1, "a", 101), (0, "b", 72), (0, "a", 131)]
    assert moments(rows) == [101, 10, 10, 10, 101, 72, 101]


def test_rows_of_a_request_are_numbered_together() -> None:
    frame = pl.DataFrame({"key": [0, 0, 0, 0, 1], "request": ["a", "a", "a", "b", "b"], "time": [1, 1, 50, 50, 50]})
    assert request_rows(frame, ["key", "request"]).to_list() == [0, 0, 1, 2, 3]


def test_no_rows_are_no_requests() -> None:
    frame = pl.DataFrame(schema={"key": pl.Int64, "request": pl.String, "time": pl.Int64})
    assert with_moments(frame, ["key", "request"], pause_us=PAUSE)["time"].to_list() == []
    assert request_rows(frame, ["key", "request"]).to_list() == []
