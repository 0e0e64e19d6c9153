"""What a step's container runs."""
