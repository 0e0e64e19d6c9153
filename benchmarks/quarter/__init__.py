"""Simulate a quarter of a shop under three policies of retraining, with the true ranking quality and the cost by day."""
