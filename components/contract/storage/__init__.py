"""The storage of releases and logs: object stores, layout, locks, labels and retention."""
