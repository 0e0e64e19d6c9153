"""Rehearsal: the exported model answers recorded requests in a model server before it may be released."""
