"""Train a ranker: loop, step, learning rate, early stopping, checkpoints, devices."""
