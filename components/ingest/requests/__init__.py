"""Requests with their candidates, labels and splits."""
