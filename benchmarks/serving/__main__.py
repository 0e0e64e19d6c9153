"""`python -m benchmarks.serving`: runs `benchmarks.serving.service`."""

from benchmarks.serving.service import main

if __name__ == "__main__":
    main()
