"""Serve TensorFlow Serving's REST API: paths, JSON requests, JSON responses."""
