"""Find the products that are most similar by content, for candidates and for the cold start of new products."""
