"""Error rates, power and speed of the drift check, where the truth is known."""
