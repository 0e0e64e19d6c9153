"""Run the benchmark of `shelfrank audit`: `python -m benchmarks.audit`."""

import argparse
import tempfile
from pathlib import Path

from benchmarks.audit.lookups import measured


def main() -> None:
    """Print a row for each size of the log: index time, its memory and size, and the time of a lookup."""
    parser = argparse.ArgumentParser(description="Index a log of decisions and find some of them, at tenfold sizes.")
    parser.add_argument("--decisions", type=int, nargs="+", default=[100_000, 1_000_000], help="sizes (default: 100000 1000000)")
    parser.add_argument("--per-file", type=int, default=10_000, help="decisions in a file (default: 10000)")
    parser.add_argument("--candidates", type=int, default=20, help="of a decision (default: 20)")
    parser.add_argument("--folder", type=Path, help="where the log is written; 1 GB for 10^6 decisions of 20 (default: a temporary one)")
    args = parser.parse_args()
    print("| decisions | files | log | indexed in | peak memory | index | a lookup, p50 | greatest |")
    print("|---|---|---|---|---|---|---|---|")
    for decisions in args.decisions:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            row = measured(Path(folder), decisions, per_file=args.per_file, candidates=args.candidates)
            print(
                f"| {decisions:,} | {row.files:,} | {row.log_bytes / 1e6:,.0f} MB | {row.indexed_s:.1f} s | {row.peak_mb:,.0f} MB |"
                f" {row.index_bytes / 1e6:,.1f} MB | {row.lookup_p50_s * 1e3:.0f} ms | {row.lookup_max_s * 1e3:.0f} ms |",
                flush=True,
            )


if __name__ == "__main__":
    main()
