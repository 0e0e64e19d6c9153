"""The page on which the service is tried, and the interactive documentation."""
