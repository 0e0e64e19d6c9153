"""Cold start of a product: what is known of products like it stands in for what isn't known of it."""
