"""The dataset file: what a shop says of its logs, once, and what every stage loops over."""
