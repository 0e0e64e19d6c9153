"""Releases on a running model server."""
