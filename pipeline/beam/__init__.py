"""Where the Beam steps run."""
