"""Ranking metrics over blocks of requests, as sums that can be added, with their standard errors."""
