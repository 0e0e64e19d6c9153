"""Named sources of candidates, for a page that has no list of its own."""
