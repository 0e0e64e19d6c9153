"""Soft labels from boosted trees."""
