"""Fitting a ranker."""
