"""Find a logged decision by its request's id, recompute its scores and trace its release: `shelfrank audit`."""
