"""Clean events out of raw rows."""
