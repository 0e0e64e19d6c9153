"""TensorFlow Serving's REST: paths, JSON requests, JSON answers."""
