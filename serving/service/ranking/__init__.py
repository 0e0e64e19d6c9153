"""Rank a request's candidates."""
