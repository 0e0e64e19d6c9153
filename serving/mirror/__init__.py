"""Sync releases and state from an object store to a folder of a pod (docs/store.md)."""
