"""A dataset file, drafted."""
