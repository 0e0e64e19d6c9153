"""Figures of `shelfrank roi`: whether its interval holds a planted total."""
