"""A dataset file against its data: what ingestion would say, told before it runs."""

from components.validate.check import Check, as_json, failed, render
from components.validate.validate_data import validate

__all__ = ["Check", "as_json", "failed", "render", "validate"]
