"""Serve SavedModels over TensorFlow Serving's gRPC and REST APIs, for development and tests; in production run TensorFlow Serving."""
