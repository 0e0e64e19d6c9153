"""`python -m benchmarks.guard`: runs `benchmarks.guard.guard`."""

from benchmarks.guard.guard import main

if __name__ == "__main__":
    main()
