"""The benchmark of audits, in miniature: it finds what it wrote."""

from pathlib import Path

from benchmarks.audit.lookups import measured


def test_a_small_log_is_indexed_and_its_decisions_are_found(tmp_path: Path) -> None:
    row = measured(tmp_path, 250, per_file=100, candidates=3)
    assert row.files == 3
    assert 0 < row.index_bytes < row.log_bytes
    assert 0 < row.lookup_p50_s <= row.lookup_max_s
