"""Analyse experiments that assign no shopper: interleaved lists, and arms that take turns."""
