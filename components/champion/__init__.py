"""Provide the model that a challenger is compared with: the release in force, or a baseline before there is one."""
