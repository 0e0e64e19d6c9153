"""`python -m pipeline.cli`: the command line `shelfrank`."""

from pipeline.cli.main import main

if __name__ == "__main__":
    main()
