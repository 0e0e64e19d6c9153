"""Join exposures with what followed from them, while events come in, and export click rates and amounts."""
