"""Run `benchmarks.evaluation.evaluation` as `python -m benchmarks.evaluation`."""

from benchmarks.evaluation.evaluation import main

if __name__ == "__main__":
    main()
