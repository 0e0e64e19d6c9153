"""Join several requests into one run of the model."""
