"""The exposure log: what was decided, what was shown and what became of it, on disk, as a source that the next run learns from."""
