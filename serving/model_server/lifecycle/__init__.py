"""Load, label and unload the served versions."""
