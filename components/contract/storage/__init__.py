"""Folders and buckets: their layout, locks, labels and retention."""
