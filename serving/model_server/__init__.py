"""Serve SavedModels by TensorFlow Serving's gRPC and REST APIs, for development and tests only."""
