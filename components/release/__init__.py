"""Releases: complete versions of a model that a server may load, each with a manifest of its provenance."""
