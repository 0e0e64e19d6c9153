"""Search for settings of the ranker."""
