"""`python -m benchmarks.graph`: runs `benchmarks.graph.graph`."""

from benchmarks.graph.graph import main

if __name__ == "__main__":
    main()
