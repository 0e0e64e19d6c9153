"""Define the ranker's network: inputs, embeddings, attention, deep and cross network, losses."""
