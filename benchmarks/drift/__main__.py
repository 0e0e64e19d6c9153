"""Run `benchmarks.drift.drift` as `python -m benchmarks.drift`."""

from benchmarks.drift.drift import main

if __name__ == "__main__":
    main()
