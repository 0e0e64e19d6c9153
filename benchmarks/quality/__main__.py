"""`python -m benchmarks.quality`: runs `benchmarks.quality.quality`."""

from benchmarks.quality.quality import main

if __name__ == "__main__":
    main()
