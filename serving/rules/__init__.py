"""Merchandising rules after scoring: what the shop decides, apart from what the model says."""
