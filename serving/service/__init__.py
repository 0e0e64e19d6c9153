"""Rank products for shoppers: the online service in front of a model server."""
