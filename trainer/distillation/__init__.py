"""Distill boosted trees into the ranker by soft labels."""
