"""How good a ranking is, in numbers, and whether it is good enough to be released."""
