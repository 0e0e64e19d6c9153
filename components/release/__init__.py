"""Releases: the versions of a model that a server may load, each complete, each with a manifest of where it came
from."""
