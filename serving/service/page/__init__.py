"""Serve a page to try the service, and the interactive documentation."""
