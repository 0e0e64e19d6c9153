"""Build the TFX pipeline, run it on one machine or on a cluster, and offer both as a command line."""
