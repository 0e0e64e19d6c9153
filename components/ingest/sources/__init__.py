"""Files of a source, their columns, and the values in them."""
