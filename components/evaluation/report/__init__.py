"""Render the evaluation as tables, sentences and one HTML page."""
