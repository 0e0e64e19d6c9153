"""The metrics within TensorFlow Model Analysis: configuration, scoring, results."""
