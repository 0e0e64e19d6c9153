"""Upload, run, follow and schedule compiled pipelines on a cluster."""
