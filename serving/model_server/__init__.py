"""A small model server that speaks TensorFlow Serving's gRPC and REST, for development and tests. In production run TensorFlow Serving."""
