"""How far two ways to attribute scores agree, and what words cost: `python -m benchmarks.explanations RUN`."""
