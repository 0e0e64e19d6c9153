"""A session's id becomes a number that is the same everywhere, and never the one that stands for none."""

import polars as pl

from components.ingest.events.session_hashes import session_hashes
from components.state.keys import session_hash


def test_the_column_and_the_single_id_agree() -> None:
    ids = ["s1", "", "s2", "s1", "ß"]
    assert session_hashes(pl.Series(ids)).tolist() == [session_hash("s1"), 0, session_hash("s2"), session_hash("s1"), session_hash("ß")]


def test_no_id_is_zero_and_ids_differ() -> None:
    hashes = session_hashes(pl.Series([f"s{n}" for n in range(10_000)]))
    assert len(set(hashes.tolist())) == 10_000
    assert 0 not in hashes


def test_the_hash_is_blake2b_and_stays_so() -> None:
    """Stores that live longer than a release hold it."""
    assert session_hash("visit-1") == 5_659_047_061_036_617_881


def test_an_empty_column_has_no_hashes() -> None:
    assert session_hashes(pl.Series([], dtype=pl.String)).tolist() == []
