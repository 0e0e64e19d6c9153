"""Compare a serving window with what a release was trained on, and decide what to do."""
