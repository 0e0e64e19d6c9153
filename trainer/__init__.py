"""The ranker: features, network, training and export."""
