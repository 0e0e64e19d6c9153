"""Run `benchmarks.roi.coverage` as `python -m benchmarks.roi`."""

from benchmarks.roi.coverage import main

if __name__ == "__main__":
    main()
