"""Compare a canary with the stable version request by request, and decide when to promote it or roll it back."""
