"""Convert raw rows to clean events."""
