"""The ranker's network."""
