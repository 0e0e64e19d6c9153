"""Gradient-boosted trees that teach the ranker: what they are given, how they are fitted, and what they say of the training requests."""
