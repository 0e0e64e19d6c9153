"""The guard: compares a canary with the stable version request by request, and says when it has seen enough."""
