"""`python -m benchmarks.evaluation`: runs `benchmarks.evaluation.evaluation`."""

from benchmarks.evaluation.evaluation import main

if __name__ == "__main__":
    main()
