"""Show what a comparison of two windows came to: as a page, as a table, as JSON and as metrics."""
