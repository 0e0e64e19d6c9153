"""Samples of files: their format, columns and values."""
