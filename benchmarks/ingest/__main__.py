"""Run `benchmarks.ingest.ingest` as `python -m benchmarks.ingest`."""

from benchmarks.ingest.ingest import main

if __name__ == "__main__":
    main()
