"""List files of a source, and read their columns and values."""
