"""Run `benchmarks.training.training` as `python -m benchmarks.training`."""

from benchmarks.training.training import main

if __name__ == "__main__":
    main()
