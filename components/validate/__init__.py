"""Check a dataset file against its data, by ingestion's own functions, before a run."""

from components.validate.check import Check, as_json, failed, render
from components.validate.validate_data import validate

__all__ = ["Check", "as_json", "failed", "render", "validate"]
