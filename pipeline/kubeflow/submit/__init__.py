"""Compiled pipelines on a cluster: upload, run, follow, schedule."""
