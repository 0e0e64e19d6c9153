"""Serve the exported model: the ranking service, the model server, and what both read; nothing here imports the
training half."""
