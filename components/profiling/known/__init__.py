"""Recognise public data sets, and use their known dataset files."""
