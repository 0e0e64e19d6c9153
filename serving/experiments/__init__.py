"""Assign shoppers to the arms of A/B experiments, which run in layers."""
