"""Serve HTTP."""
