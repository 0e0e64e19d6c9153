"""Rehearse a release: serve the exported model in a model server, and compare its scores on sampled requests."""
