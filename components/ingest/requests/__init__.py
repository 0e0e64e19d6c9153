"""Form requests with their candidates, labels and splits."""
