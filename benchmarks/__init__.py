"""Measure the published figures, each by a command of its own."""
