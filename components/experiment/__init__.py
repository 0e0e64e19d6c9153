"""Analyse A/B experiments: metrics by arm with intervals over shoppers, checks of what was logged, and a decision."""
