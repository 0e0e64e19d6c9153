"""Train the ranker: features, network, training, search for settings, export."""
