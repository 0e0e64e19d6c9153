"""From a request to the model's tensors, and from an event to what it changes."""
