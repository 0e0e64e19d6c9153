"""Name what changed, and say what to do about it."""
