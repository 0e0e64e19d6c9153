"""Run `benchmarks.serving.service` as `python -m benchmarks.serving`."""

from benchmarks.serving.service import main

if __name__ == "__main__":
    main()
