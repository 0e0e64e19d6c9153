"""Brings what pods serve from a store to a folder of theirs (docs/store.md)."""
