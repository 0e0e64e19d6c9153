"""The dataset file: the description of a shop's logs that every stage reads."""
