"""Trace requests."""
