"""The model that a challenger is compared with: the release in force, or a dull baseline before there is one."""
