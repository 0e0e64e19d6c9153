"""Assign roles to columns, and uses to files."""
