"""Run `benchmarks.stream.intake` as `python -m benchmarks.stream`."""

from benchmarks.stream.intake import main

if __name__ == "__main__":
    main()
