"""What a finished run gave, gathered from its steps, and how it is shown."""
