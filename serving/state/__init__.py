"""What is known of shoppers and items: one seam, in memory or in Redis."""
