"""Train a released model's weights on the newest requests, and build the next version from what changed."""
