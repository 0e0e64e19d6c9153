"""Calibrate a trained ranker and export it as a SavedModel."""
