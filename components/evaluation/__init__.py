"""Ranking metrics with intervals, the gates that decide on a release, and the evaluation report."""
