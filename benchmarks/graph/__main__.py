"""Run `benchmarks.graph.graph` as `python -m benchmarks.graph`."""

from benchmarks.graph.graph import main

if __name__ == "__main__":
    main()
