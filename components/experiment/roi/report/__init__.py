"""Show the return: sentences, plots, an HTML page, a PDF and a table for the terminal."""
