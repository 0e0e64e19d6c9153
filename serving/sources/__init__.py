"""Retrieve candidates from named sources, for requests without a list of candidates."""
