"""How fast the log is indexed and a decision found: `python -m benchmarks.audit`."""
