"""Read batches of transformed requests."""
