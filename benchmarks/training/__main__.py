"""`python -m benchmarks.training`: runs `benchmarks.training.training`."""

from benchmarks.training.training import main

if __name__ == "__main__":
    main()
