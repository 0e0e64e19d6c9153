"""Batches of transformed requests."""
