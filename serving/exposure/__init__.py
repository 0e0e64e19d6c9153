"""Log decisions, impressions and interactions to disk, in files that the next training run reads as a source."""
