"""Which metrics a gate names, and whether a model may be released."""
