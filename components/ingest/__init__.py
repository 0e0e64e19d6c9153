"""Convert event logs to request-level examples, through blocks keyed by a hash of the user or the item."""
