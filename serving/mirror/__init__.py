"""Brings what pods serve from a store to a folder of theirs (docs/reference/store.md)."""
