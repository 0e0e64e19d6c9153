"""Stop a run whose examples have anomalies."""
