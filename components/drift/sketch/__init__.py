"""Summarize windows in sketches that add up."""
