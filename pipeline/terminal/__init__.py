"""What a person sees of a run: progress, tables, the one line of an error."""
