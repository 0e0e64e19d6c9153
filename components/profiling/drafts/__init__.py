"""Draft a dataset file."""
