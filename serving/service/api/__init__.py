"""Define what HTTP and gRPC share: bodies, the token, rate limits."""
