"""Test what two windows differ by."""
