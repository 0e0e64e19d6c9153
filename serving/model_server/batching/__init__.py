"""Several requests in one run of the model."""
