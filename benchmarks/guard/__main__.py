"""Run `benchmarks.guard.guard` as `python -m benchmarks.guard`."""

from benchmarks.guard.guard import main

if __name__ == "__main__":
    main()
