"""Serve gRPC."""
