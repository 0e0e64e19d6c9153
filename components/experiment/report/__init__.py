"""Show an experiment's report: one HTML page, an index of all, and a summary on the terminal."""
