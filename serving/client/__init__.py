"""Call TensorFlow Serving over gRPC, without TensorFlow."""
