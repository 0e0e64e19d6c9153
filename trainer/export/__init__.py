"""From a trained ranker to a SavedModel."""
