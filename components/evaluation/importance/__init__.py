"""Permutation feature importance."""
