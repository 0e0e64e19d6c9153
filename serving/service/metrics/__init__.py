"""Export metrics to Prometheus."""
