"""`python -m benchmarks.ingest`: runs `benchmarks.ingest.ingest`."""

from benchmarks.ingest.ingest import main

if __name__ == "__main__":
    main()
