"""From a request to its order."""
