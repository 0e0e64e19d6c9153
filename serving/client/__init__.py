"""Asking TensorFlow Serving, without TensorFlow."""
