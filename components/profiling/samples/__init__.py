"""Sample files, and recognise their format, columns and values."""
