"""Run Predict, Classify, Regress and MultiInference on a SavedModel."""
