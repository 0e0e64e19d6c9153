"""Show a run on the terminal: progress, tables, one line for an error."""
