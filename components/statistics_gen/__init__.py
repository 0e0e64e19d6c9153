"""Compute the statistics of the examples' features."""
