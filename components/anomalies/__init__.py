"""A gate that stops a run at anomalies in its examples."""
