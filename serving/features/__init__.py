"""Build the model's tensors from a request, and state changes from an event."""
