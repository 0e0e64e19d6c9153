"""Store the online state of shoppers and items, in memory or in Redis."""
